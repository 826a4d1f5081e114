"""Choices of the user that hold for all problems that are generated together."""

import dataclasses
import hashlib
import os
import random
from collections.abc import Mapping

import numpy as np

from t2t_mm import problem as problems
from t2t_mm.features import Split

_NUMPY_SEEDS = 2**32  # `numpy.random.seed` takes less


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to generate, as opposed to what.

    Attributes:
      random_seed: decides random samples and the order of records.
      max_cases: most samples per split; 0 for all.
      corpus_paths: where the user keeps each corpus, by the name of the corpus or
        of one problem that is made from it.
    """

    random_seed: int = problems.DEFAULT_RANDOM_SEED
    max_cases: int = 0
    corpus_paths: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          ValueError: naming the field and its value.
        """
        if self.max_cases < 0:
            raise ValueError(f"`max_cases` must be 0 or more; got {self.max_cases}.")

    def configure(self, problem: problems.Problem) -> None:
        """Tells a problem its seed and where its corpus is."""
        problem.random_seed = self.random_seed
        if problem.corpus is None:
            return
        # A problem's own name comes first: problems may share a corpus's name.
        for name in (problem.name, problem.corpus.name):
            if name in self.corpus_paths:
                path = self.corpus_paths[name]
                problem.corpus_path = os.path.abspath(os.path.expanduser(path))
                return

    def seed_generators(self, problem: problems.Problem, split: Split | str) -> None:
        """Seeds `random` and `numpy.random` for one split of one problem."""
        key = f"{self.random_seed}/{problem.name}/{split}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        random.seed(seed)
        np.random.seed(seed % _NUMPY_SEEDS)


def corpus_fingerprint(path: str) -> str:
    """Returns a hash of the names and sizes of a corpus's files."""
    digest = hashlib.sha256()
    for name, size in sorted(_names_and_sizes(path)):
        digest.update(f"{name}\0{size}\n".encode("utf-8", errors="surrogateescape"))
    return digest.hexdigest()


def _names_and_sizes(path: str) -> list[tuple[str, int]]:
    if os.path.isfile(path):
        return [(os.path.basename(path), os.path.getsize(path))]
    return [
        (os.path.relpath(file, path), os.path.getsize(file))
        for folder, _, names in os.walk(path)
        for file in (os.path.join(folder, name) for name in names)
        if os.path.exists(file)
    ]
