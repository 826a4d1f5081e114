"""Choices of the user that hold for all problems that are generated together."""

import copy
import dataclasses
import hashlib
import os
import random
from collections.abc import Iterable, Mapping

import numpy as np

from t2t_mm import problem as problems
from t2t_mm import registry

_NUMPY_SEEDS = 2**32  # `numpy.random.seed` takes less


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How to generate, as opposed to what.

    Attributes:
      random_seed: decides random samples and the order of records.
      max_cases: most samples per split; 0 for all.
      max_bad_percent: largest share of bad samples, above which a corpus is refused.
      num_workers: processes that encode samples; 1 for none beside this one.
      vocabulary: one for all text, "bytes", or "default" for what each problem
        declares; None for what was chosen for existing records, or else "default".
      beam_arguments: options of Apache Beam as on its command line; None to generate
        without Beam.
      beam_dir: a folder that all workers of Beam can write to; None for one in the data
        folder.
      corpus_paths: where the user keeps each corpus, by the name of the corpus or
        of one problem that is made from it.
    """

    random_seed: int = problems.DEFAULT_RANDOM_SEED
    max_cases: int = 0
    max_bad_percent: float = 1.0
    num_workers: int = 1
    vocabulary: registry.VocabularySpec | str | None = None
    beam_arguments: tuple[str, ...] | None = None
    beam_dir: str | None = None
    corpus_paths: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          ValueError: naming the field and its value.
        """
        if self.max_cases < 0:
            raise ValueError(f"`max_cases` must be 0 or more; got {self.max_cases}.")
        if not 0 <= self.max_bad_percent <= 100:
            raise ValueError(
                f"`max_bad_percent` must be from 0 to 100; got {self.max_bad_percent}."
            )
        if self.num_workers < 1:
            raise ValueError(
                f"`num_workers` must be 1 or more; got {self.num_workers}."
            )

    def configured(self, problem: problems.Problem) -> problems.Problem:
        """Returns a copy of a problem that knows its seed and its corpus."""
        problem = copy.copy(problem)
        self._set_corpus_path(problem)
        problem.random_seed = self.random_seed
        return problem

    def _set_corpus_path(self, problem: problems.Problem) -> None:
        if problem.corpus is None:
            return
        # A problem's own name comes first: problems may share a corpus's name.
        for name in (problem.name, problem.corpus.name):
            if name in self.corpus_paths:
                path = self.corpus_paths[name]
                problem.corpus_path = os.path.abspath(os.path.expanduser(path))
                return

    def seed_generators(self, problem: problems.Problem, stream: str) -> None:
        """Seeds `random` and `numpy.random` for one stream of samples of a problem."""
        key = f"{self.random_seed}/{problem.name}/{stream}"
        seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
        random.seed(seed)
        np.random.seed(seed % _NUMPY_SEEDS)


def corpus_fingerprint(paths: Iterable[str]) -> str:
    """Returns a hash of the names and sizes of files, given themselves or by folder."""
    digest = hashlib.sha256()
    for path in paths:
        for name, size in sorted(_names_and_sizes(path)):
            line = f"{name}\0{size}\n"
            digest.update(line.encode("utf-8", errors="surrogateescape"))
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
