"""Building the subword vocabularies that problems are encoded with."""

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any

from absl import logging

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.data import manifest as manifests
from t2t_mm.data import text_encoder
from t2t_mm.data.options import GenerationOptions

TEXTS_PER_CASE = 2  # inputs and targets


def ensure(
    problem: problems.Problem,
    data_dir: str,
    tmp_dir: str,
    options: GenerationOptions,
) -> manifests.Vocabulary | None:
    """Builds the vocabulary of a problem unless a good one exists.

    A vocabulary is replaced if it was built for another `VocabularySpec`, or from fewer
    cases than `options.max_cases` allows; a file without notes on how it was built is
    the user's own and is kept.

    Returns:
      The vocabulary, or None if the problem needs none.

    Raises:
      ValueError: if the vocabulary cannot be built from the text there is.
    """
    spec = problem.vocabulary_spec
    if spec is None:
        return None
    path = os.path.join(data_dir, spec.filename)
    reason = _reason_to_build(spec, path, options)
    if reason is not None:
        logging.info("vocabulary | building %s: %s", spec.filename, reason)
        _build(problem, spec=spec, path=path, tmp_dir=tmp_dir, options=options)
    sha256 = manifests.file_sha256(path)
    return manifests.Vocabulary(name=spec.name, file=spec.filename, sha256=sha256)


def _reason_to_build(
    spec: registry.VocabularySpec, path: str, options: GenerationOptions
) -> str | None:
    if not os.path.exists(path):
        return "there is none"
    if not os.path.exists(_notes_path(path)):
        return None
    with open(_notes_path(path), encoding="utf-8") as file:
        notes = json.load(file)
    wanted = _notes(spec, options)
    if notes["spec"] != wanted["spec"]:
        return f"it was built for {notes['spec']} and is {wanted['spec']}"
    had, want = notes["max_cases"], options.max_cases
    if had and (want > had or not want):
        return f"it was built from {had} cases per problem only"
    return None


def _notes_path(path: str) -> str:
    return path + ".json"


def _notes(spec: registry.VocabularySpec, options: GenerationOptions) -> dict[str, Any]:
    fields = dataclasses.asdict(spec)
    fields["problems"] = list(spec.problems)
    fields["reserved_tokens"] = list(spec.reserved_tokens)
    if not spec.reserved_tokens:
        del fields["reserved_tokens"]  # as in notes from before there were any
    return {"spec": fields, "max_cases": options.max_cases}


def _build(
    problem: problems.Problem,
    *,
    spec: registry.VocabularySpec,
    path: str,
    tmp_dir: str,
    options: GenerationOptions,
) -> None:
    texts = itertools.chain.from_iterable(
        _sample_texts(
            member,
            num_bytes=spec.bytes_per_problem,
            data_dir=os.path.dirname(path),
            tmp_dir=tmp_dir,
            options=options,
        )
        for member in _members(problem, spec, options)
    )
    model = text_encoder.build_subwords(
        texts, spec.approx_vocab_size, spec.reserved_tokens
    )
    notes = json.dumps(_notes(spec, options), indent=1) + "\n"
    manifests.write_atomically(_notes_path(path), notes.encode())
    manifests.write_atomically(path, model)
    logging.info(
        "vocabulary | built %s: %d ids",
        spec.filename,
        text_encoder.SubwordTextEncoder(model).vocab_size,
    )


def _members(
    problem: problems.Problem,
    spec: registry.VocabularySpec,
    options: GenerationOptions,
) -> list[problems.Problem]:
    """Returns the problems that share a vocabulary, all with their corpora."""
    members = [
        problem if name == problem.name else registry.problem(name)
        for name in spec.problems
    ]
    for member in members:
        options.configure(member)
        if member.corpus is not None:
            member.require_corpus_path()
    return members


def _sample_texts(
    member: problems.Problem,
    *,
    num_bytes: int,
    data_dir: str,
    tmp_dir: str,
    options: GenerationOptions,
) -> Iterator[str]:
    """Yields training text of one problem, `num_bytes` or a little more."""
    options.seed_generators(member, problems.DatasetSplit.TRAIN)
    texts = member.generate_text_for_vocab(data_dir, tmp_dir)
    if options.max_cases:
        texts = itertools.islice(texts, TEXTS_PER_CASE * options.max_cases)
    remaining = num_bytes
    for text in texts:
        if remaining <= 0:
            return
        remaining -= len(text.encode("utf-8", errors="replace"))
        yield text
