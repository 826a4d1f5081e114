"""Decoding of files and splits into files and streams, a line for a line."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from absl import logging

from t2t_mm.decoding import input_lines, line_decoder, output_format
from t2t_mm.decoding.decoder import Decoded, Decoder
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.decoding.input_lines import Line
from t2t_mm.decoding.journal import Journal
from t2t_mm.decoding.output_format import OutputFormat
from t2t_mm.features import Split


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What decodes, and how outputs are written.

    Attributes:
      decoder: turns inputs into outputs.
      checkpoints: fingerprints of the checkpoints that it decodes with, by path.
      output_format: what a line of output looks like.
      names_inputs: whether a line of text begins with the input, as it does for the
        files of a folder.
    """

    decoder: Decoder
    checkpoints: Mapping[str, str]
    output_format: OutputFormat = OutputFormat.TEXT
    names_inputs: bool = False

    def settings(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what outputs depend on, the inputs being described by `inputs`."""
        return {
            "problem": self.decoder.problem.name,
            "checkpoints": dict(self.checkpoints),
            "config": dataclasses.asdict(self.decoder.config),
            **inputs,
        }

    def line_of(self, line: Line, results: Sequence[Hypothesis]) -> str:
        """Returns the line of output for a line of input."""
        if self.output_format == OutputFormat.JSONL:
            about = {"number": line.number + 1, "input": line.text}
            return output_format.as_json(about, results)
        before = [line.text] if self.names_inputs else []
        return output_format.as_text(before, results, self.decoder.config)

    def line_of_example(self, number: int, example: Decoded) -> str:
        """Returns the line of output for an example of a split."""
        if self.output_format == OutputFormat.JSONL:
            about = {"number": number + 1, "reference": example.reference}
            return output_format.as_json(about, example.results)
        return output_format.as_text(
            [example.reference], example.results, self.decoder.config
        )


def lines_to_stream(job: Job, groups: Iterable[Sequence[Line]], stream: TextIO) -> None:
    """Writes the output of every line, a group of lines after the other."""
    for lines in groups:
        answers = line_decoder.decode(job.decoder, lines)
        results = {answer.number: answer.results for answer in answers}
        for line in lines:
            stream.write(job.line_of(line, results[line.number]) + "\n")
        stream.flush()


def lines_to_file(job: Job, lines: Sequence[Line], path: str) -> None:
    """Writes the output of every line to a file, which appears when it is whole.

    What was cut short goes on where it was: outputs are kept beside the file, a batch
    after the other.
    """
    inputs = "\n".join(line.text for line in lines)
    digest = hashlib.sha256(inputs.encode(errors="surrogateescape"))
    journal = Journal(path, job.settings({"inputs": digest.hexdigest()}))
    try:
        missing = [line for line in lines if line.number not in journal.known]
        for group in input_lines.in_groups(missing):
            for answer in line_decoder.decode(job.decoder, group):
                journal.add(answer.number, answer.results)
            logging.info("decoded %d of %d lines", len(journal.known), len(lines))
        journal.finish(job.line_of(line, journal.known[line.number]) for line in lines)
    finally:
        journal.close()


def split_to_stream(
    job: Job, split: Split, data_dir: str, max_batches: int | None, stream: TextIO
) -> Iterator[Decoded]:
    """Writes reference and outputs of the examples of a split, and yields each."""
    examples = job.decoder.decode_split(split, data_dir, max_batches)
    for number, example in enumerate(examples):
        stream.write(job.line_of_example(number, example) + "\n")
        yield example


def split_to_file(
    job: Job, split: Split, data_dir: str, max_batches: int | None, path: str
) -> Iterator[Decoded]:
    """Does the same to a file, which appears when it is whole; see `lines_to_file`.

    Of the examples it keeps the lines alone: pixels of a whole split take much memory.
    """
    about = {"split": split, "data_dir": data_dir, "max_batches": max_batches}
    journal = Journal(path, job.settings(about))
    known = dict(journal.known)
    lines: list[str] = []
    try:
        for example in job.decoder.decode_split(
            split, data_dir, max_batches, known=known
        ):
            if len(lines) not in known:
                journal.add(len(lines), example.results)
            lines.append(job.line_of_example(len(lines), example))
            yield example
        journal.finish(iter(lines))
    finally:
        journal.close()
