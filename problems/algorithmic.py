"""Tiny synthetic problems over digits, for tests and first steps."""

import abc
import hashlib
import random
from collections.abc import Iterator
from typing import ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import text_problem
from t2t_mm.features import Split

NUM_EXAMPLES = {Split.TRAIN: 2000, Split.EVAL: 200, Split.TEST: 200}
MAX_DIGITS = 20


class _DigitsProblem(text_problem.Text2TextProblem):
    """Random digit strings of 1 to `MAX_DIGITS` digits, and something made of them."""

    vocab_type = text_problem.VocabType.BYTE
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "accuracy_per_sequence",
        "neg_log_perplexity",
    )

    @property
    def dataset_splits(self) -> list[dict[str, object]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": problem.DatasetSplit.TRAIN, "shards": 2},
            {"split": problem.DatasetSplit.EVAL, "shards": 1},
            {"split": problem.DatasetSplit.TEST, "shards": 1},
        ]

    @abc.abstractmethod
    def transform(self, digits: str) -> str:
        """Returns the targets of `digits`."""

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, str]]:
        """Yields digit strings, each in one split only."""
        stream = random.Random(f"{self.random_seed}/{dataset_split}")
        remaining = NUM_EXAMPLES[dataset_split]
        while remaining:
            length = stream.randint(1, MAX_DIGITS)
            digits = "".join(stream.choices("0123456789", k=length))
            if _split_of(digits) == dataset_split:
                remaining -= 1
                yield {"inputs": digits, "targets": self.transform(digits)}


def _split_of(digits: str) -> Split:
    """Deals strings to splits by a hash, so that no string is in two of them."""
    last_byte = hashlib.sha256(digits.encode()).digest()[-1]
    return {0: Split.EVAL, 1: Split.TEST}.get(last_byte % 10, Split.TRAIN)


@registry.register_problem("copy_digits")
class CopyDigits(_DigitsProblem):
    """The targets are the inputs."""

    def transform(self, digits: str) -> str:
        """Returns `digits`."""
        return digits


@registry.register_problem("reverse_digits")
class ReverseDigits(_DigitsProblem):
    """The targets are the inputs from back to front."""

    def transform(self, digits: str) -> str:
        """Returns `digits` from back to front."""
        return digits[::-1]
