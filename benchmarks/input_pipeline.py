"""How fast batches are read, parsed and padded, and what that is bound by.

    python -m benchmarks.input_pipeline --data_dir=data \
        [--problems=mini_ende,mini_fashion,mini_emoji_class,mini_speech]

Takes batches as the training loop takes them, but does nothing with them. Beside the
whole pipeline it times its parts alone, on the same batches and in turns: `read`, which
finds and reads the records in Python, and `parse`, which TensorFlow does in a graph.
For images also `decode`: Pillow decompresses the same pictures, on all processors, and
does nothing else. `photographs` is made for this: JPEG files of 299 x 299 pixels.
"""

import argparse
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks import measure
from t2t_mm import hparam, registry
from t2t_mm import problem as problem_lib
from t2t_mm.data import generation, image_problem, pipeline, text_problem
from t2t_mm.data.options import GenerationOptions
from t2t_mm.features import Split

REFERENCE = 4359  # examples per second of Tensor2Tensor, text at 4,096 tokens a batch
SEED = 1
PHOTOGRAPHS = "photographs"
NUM_PHOTOGRAPHS = 320


class Photographs(image_problem.Image2ClassProblem):
    """Smooth random pictures, about as large in bytes as photographs are."""

    name = PHOTOGRAPHS
    image_shape = (299, 299, 3)
    num_classes = 2

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any]]:
        """Yields pictures whose neighbouring pixels are alike."""
        random = np.random.default_rng(SEED)
        for number in range(NUM_PHOTOGRAPHS if dataset_split == Split.TRAIN else 2):
            coarse = random.integers(0, 256, (48, 48, 3)).astype(np.uint8)
            picture = Image.fromarray(coarse).resize((299, 299))
            yield {"inputs": np.asarray(picture), "targets": number % 2}


class Parts:
    """The pipeline of one problem, and its parts, on the first batches of training."""

    def __init__(
        self, problem: problem_lib.Problem, data_dir: str, hparams: Any, count: int
    ) -> None:
        """Reads `count` batches into memory, for the parts that begin with them."""
        self._batches = pipeline.TrainBatches(problem, data_dir, hparams, SEED)
        self._loader = pipeline._Loader(problem, self._batches._reader, data_dir)
        self._problem = problem
        self._numbers = range(count)
        read = self._read()
        self.examples = sum(len(payloads) for payloads, _, _ in read)
        self._records = [tuple(map(tf.constant, arrays)) for arrays in read]
        self._iterator = iter(self._batches.dataset())
        self._parse = tf.function(
            self._loader._parse,
            input_signature=[
                tf.TensorSpec([None], tf.string),
                tf.TensorSpec([None, 2], tf.int32),
                tf.TensorSpec([2], tf.int32),
            ],
            autograph=False,
        )

    def sides(self) -> dict[str, Callable[[], Any]]:
        """Returns what to time."""
        sides = {"pipeline": self._take, "read": self._read, "parse": self._parse_all}
        if isinstance(self._problem, image_problem.ImageProblem):
            sides["decode"] = self._make_decode()
        return sides

    def _take(self) -> None:
        for _ in self._numbers:
            next(self._iterator)

    def _read(self) -> list[Any]:
        rows = [self._batches.rows(number) for number in self._numbers]
        return [self._loader._read(*row, 0) for row in rows]

    def _parse_all(self) -> None:
        for records in self._records:
            self._parse(*records)

    def _make_decode(self) -> Callable[[], None]:
        name = self._problem.record_features["inputs"]
        spec = {name: tf.io.FixedLenFeature([], tf.string)}
        pictures = [
            picture
            for payloads, _, _ in self._records
            for picture in tf.io.parse_example(payloads, spec)[name].numpy()
        ]
        pool = futures.ThreadPoolExecutor(len(os.sched_getaffinity(0)))

        def decode() -> None:
            for _ in pool.map(_decompress, pictures):
                pass

        return decode


def _decompress(content: bytes) -> None:
    Image.open(io.BytesIO(content)).load()


def rows_of(
    problem: problem_lib.Problem, data_dir: str, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Returns a row for each part of a problem's pipeline."""
    hparams = hparam.resolve(arguments.hparams_set, overrides=arguments.hparams)
    count = 10 if problem.name == PHOTOGRAPHS else arguments.batches
    parts = Parts(problem, data_dir, hparams, count)
    timings = measure.in_turns(parts.sides(), repeats=arguments.repeats)
    is_text = isinstance(problem, text_problem.TextInputs)
    rows = []
    for part, timing in timings.items():
        speed = parts.examples / timing.median
        row = {
            "problem": problem.name,
            "part": part,
            "examples_per_second": round(speed),
            "spread_percent": measure.rounded(100 * timing.spread),
        }
        if is_text and part == "pipeline":
            row["times_tensor2tensor"] = measure.rounded(speed / REFERENCE)
        rows.append(row)
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument(
        "--problems",
        default=f"mini_ende,mini_fashion,mini_emoji_class,mini_speech,{PHOTOGRAPHS}",
    )
    parser.add_argument("--hparams_set", default="multimodel_small")
    parser.add_argument("--hparams", default="batch_size=4096")
    parser.add_argument("--batches", type=int, default=80, help="in each turn")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    registry.import_registrations()
    rows = []
    for name in arguments.problems.split(","):
        if name != PHOTOGRAPHS:
            rows += rows_of(registry.problem(name), arguments.data_dir, arguments)
            continue
        with tempfile.TemporaryDirectory() as folder:
            problem = Photographs()
            generation.generate(problem, folder, folder, GenerationOptions())
            rows += rows_of(problem, folder, arguments)
    measure.report(rows, **vars(arguments))


if __name__ == "__main__":
    main()
