"""How fast data is made: vocabulary, encoding, records, and with how much memory.

    python -m benchmarks.datagen --pairs=30000

Texts are drawn from a Zipfian vocabulary of made-up words, so that the benchmark needs
no corpus; --text names a file of real lines instead. Prints a JSON object.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import numpy as np

from t2t_mm.data import generation, text_encoder, text_problem, workers
from t2t_mm.data.options import GenerationOptions
from t2t_mm.features import Split

WORDS_PER_LINE = 10
NUM_WORDS = 40_000
LETTERS = "etaoinshrdlcumwfgypbvkjxqz"
DEV_PAIRS = 100
VOCAB_SIZE = 2**13
CHUNK_LINES = 4096


class Pairs(text_problem.Text2TextProblem):
    """Neighbouring lines of a file as inputs and targets."""

    name = "benchmark_pairs"
    approx_vocab_size = VOCAB_SIZE
    path = ""
    num_pairs = 0

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, str]]:
        """Yields the pairs, over and over until there are enough."""
        remaining = self.num_pairs if dataset_split == Split.TRAIN else DEV_PAIRS
        while True:
            with open(self.path, encoding="utf-8", newline="\n") as file:
                for inputs, targets in zip(file, file, strict=False):
                    if not remaining:
                        return
                    remaining -= 1
                    yield {
                        "inputs": inputs.rstrip("\n"),
                        "targets": targets.rstrip("\n"),
                    }


def made_up_lines(count: int) -> list[str]:
    """Returns lines of words whose frequencies fall as their ranks rise."""
    generator = np.random.Generator(np.random.Philox(key=1))
    lengths = generator.integers(2, 12, NUM_WORDS)
    letters = np.array(list(LETTERS))
    weights = 1.0 / np.arange(2, len(LETTERS) + 2)
    words = np.array(
        [
            "".join(generator.choice(letters, size, p=weights / weights.sum()))
            for size in lengths
        ]
    )
    frequencies = 1.0 / np.arange(1, NUM_WORDS + 1)
    drawn = generator.choice(
        words, (count, WORDS_PER_LINE), p=frequencies / frequencies.sum()
    )
    return [" ".join(row) for row in drawn]


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def _count_ids(task: tuple[bytes, list[str]]) -> int:
    model, lines = task
    encoder = _encoder(model)
    return sum(len(encoder.encode(line)) for line in lines)


_encoders: dict[int, text_encoder.SubwordTextEncoder] = {}


def _encoder(model: bytes) -> text_encoder.SubwordTextEncoder:
    if len(model) not in _encoders:
        _encoders[len(model)] = text_encoder.SubwordTextEncoder(model)
    return _encoders[len(model)]


def measure_encoder(lines: list[str], num_workers: int) -> dict[str, float]:
    """Returns the time of a vocabulary, and lines encoded per second."""
    seconds: dict[str, float] = {}
    with _timed(seconds, "vocabulary"):
        model = text_encoder.build_subwords(lines, VOCAB_SIZE)
    tasks = [
        (model, lines[start : start + CHUNK_LINES])
        for start in range(0, len(lines), CHUNK_LINES)
    ]
    with workers.pool(num_workers) as pool:
        list(pool.map(_count_ids, tasks[:num_workers] * 2))  # starts the processes
        with _timed(seconds, "first"):
            list(pool.map(_count_ids, tasks))
        with _timed(seconds, "again"):
            list(pool.map(_count_ids, tasks))
    encoder = text_encoder.SubwordTextEncoder(model)
    with _timed(seconds, "sentencepiece"):
        encoder._processor.encode(lines, num_threads=num_workers)
    return {
        "vocabulary_mb": sum(len(line.encode()) + 1 for line in lines) / 1e6,
        "vocabulary_seconds": seconds["vocabulary"],
        "lines_per_second_first": len(lines) / seconds["first"],
        "lines_per_second_again": len(lines) / seconds["again"],
        "lines_per_second_sentencepiece": len(lines) / seconds["sentencepiece"],
    }


def measure_generation(path: str, pairs: int, num_workers: int) -> dict[str, float]:
    """Returns seconds and peak memory of making records in a process of its own."""
    arguments = [f"--generate={path}", f"--pairs={pairs}", f"--workers={num_workers}"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.datagen", *arguments],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(done.stdout)


def _generate(path: str, pairs: int, num_workers: int) -> dict[str, float]:
    problem = Pairs()
    problem.path, problem.num_pairs = path, pairs
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        options = GenerationOptions(num_workers=num_workers)
        generation.generate(problem, folder, folder, options)
        seconds = time.perf_counter() - start
    kilobytes = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return {
        "pairs": pairs,
        "seconds": seconds,
        "peak_mb": kilobytes[0] / 1e3,
        "peak_mb_of_a_worker": kilobytes[1] / 1e3,
    }


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=30_000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--text", help="file of lines; made up if not given")
    parser.add_argument("--generate", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generate:
        result = _generate(arguments.generate, arguments.pairs, arguments.workers)
        print(json.dumps(result))
        return
    if arguments.text:
        text = pathlib.Path(arguments.text).read_text(encoding="utf-8")
        lines = text.split("\n")
    else:
        lines = made_up_lines(2 * arguments.pairs)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "lines.txt")
        pathlib.Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
        results = {
            "encoder": measure_encoder(lines, arguments.workers),
            "generation": measure_generation(path, arguments.pairs, arguments.workers),
            "ten_times": measure_generation(
                path, 10 * arguments.pairs, arguments.workers
            ),
        }
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
