"""Building the subword vocabularies that problems are encoded with."""

import contextlib
import dataclasses
import heapq
import itertools
import json
import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.data import http_file, shuffling, text_encoder
from t2t_mm.data import manifest as manifests
from t2t_mm.data.options import GenerationOptions
from t2t_mm.features import FeatureSpec

TEXTS_PER_CASE = 2  # inputs and targets
_KEYS_AT_ONCE = 4096


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
    choose(problem, data_dir, options.vocabulary)
    spec = problem.vocabulary_spec
    reason = reason_to_build(problem, data_dir, options)
    if spec is not None and reason is not None:
        logging.info("vocabulary | building %s: %s", spec.filename, reason)
        path = os.path.join(data_dir, spec.filename)
        _build(problem, spec=spec, path=path, tmp_dir=tmp_dir, options=options)
    return existing(problem, data_dir)


def existing(problem: problems.Problem, data_dir: str) -> manifests.Vocabulary | None:
    """Returns the vocabulary of a problem, which must be there if it needs one."""
    spec = problem.vocabulary_spec
    if spec is None:
        return None
    sha256 = manifests.file_sha256(os.path.join(data_dir, spec.filename))
    return manifests.Vocabulary(name=spec.name, file=spec.filename, sha256=sha256)


def choose(
    problem: problems.Problem,
    data_dir: str,
    choice: registry.VocabularySpec | str | None,
) -> None:
    """Tells a problem which vocabulary it has in a data folder.

    Args:
      problem: the problem.
      data_dir: where its records are or will be.
      choice: the user's, see `GenerationOptions`; None for that of existing records.
    """
    if choice is None:
        made = manifests.load_or_none(problem.dataset_name, data_dir)
        choice = made.settings["vocabulary_choice"] if made else None
        if choice and choice.endswith(registry.VOCABULARY_ENDING):
            choice = declared(choice, data_dir)
    problem.choose_vocabulary(choice or registry.DEFAULT_VOCABULARY)


def choose_as_trained(
    problem: problems.Problem, specs: Mapping[str, FeatureSpec]
) -> None:
    """Tells a problem which vocabulary a model knows it with.

    Args:
      problem: the problem.
      specs: those of its features in the run.
    """
    for spec in specs.values():
        name = spec.vocabulary or ""
        if name == registry.BYTE_VOCABULARY:
            problem.choose_vocabulary(name)
        elif name.endswith(registry.VOCABULARY_ENDING):
            problem.choose_vocabulary(registry.VocabularySpec.of_file(name))


def declare(
    name: str, size: int, members: Sequence[problems.Problem], data_dir: str
) -> registry.VocabularySpec:
    """Returns the spec of a vocabulary of the user's, declared once for a data folder.

    Args:
      name: of the vocabulary.
      size: number of ids to aim at.
      members: problems whose text it is built from, if the folder does not have it yet;
        those without text are left out.
      data_dir: where it is or will be.

    Raises:
      ValueError: if the name is not in small letters, or no member has text.
    """
    spec = registry.VocabularySpec(name=name, approx_vocab_size=size, problems=())
    registry.VocabularySpec.of_file(spec.filename)  # checks the name
    if os.path.exists(os.path.join(data_dir, spec.filename)):
        return declared(spec.filename, data_dir)
    own = {m.dataset_name: m.vocabulary_spec for m in members if m.vocabulary_spec}
    if not own:
        raise ValueError(
            f"The vocabulary '{name}' must be built from problems with text; got "
            f"{', '.join(member.name for member in members)}."
        )
    tokens = itertools.chain.from_iterable(s.reserved_tokens for s in own.values())
    return dataclasses.replace(
        spec, problems=tuple(own), reserved_tokens=tuple(dict.fromkeys(tokens))
    )


def declared(filename: str, data_dir: str) -> registry.VocabularySpec:
    """Returns the spec that a vocabulary in a data folder was built for."""
    path = _notes_path(os.path.join(data_dir, filename))
    if not os.path.exists(path):
        return registry.VocabularySpec.of_file(filename)
    with open(path, encoding="utf-8") as file:
        fields = json.load(file)["spec"]
    lists = ("problems", "reserved_tokens")
    return registry.VocabularySpec(
        **{**fields, **{name: tuple(fields.get(name, ())) for name in lists}}
    )


def reason_to_build(
    problem: problems.Problem, data_dir: str, options: GenerationOptions
) -> str | None:
    """Returns why the vocabulary of a problem must be built; None if it need not."""
    spec = problem.vocabulary_spec
    if spec is None:
        return None
    path = os.path.join(data_dir, spec.filename)
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
        sample_texts(
            member,
            num_bytes=spec.bytes_per_problem,
            data_dir=os.path.dirname(path),
            tmp_dir=tmp_dir,
            options=options,
        )
        for member in _members(problem, spec, tmp_dir, options)
    )
    model = text_encoder.build_subwords(
        texts, spec.approx_vocab_size, spec.reserved_tokens
    )
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)  # never an old one with new notes, whenever this is ended
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
    tmp_dir: str,
    options: GenerationOptions,
) -> list[problems.Problem]:
    """Returns the problems that share a vocabulary, all with their corpora."""
    members = [
        problem if name == problem.name else options.configured(registry.problem(name))
        for name in spec.problems
    ]
    _announce_downloads(problem, spec, members)
    for member in members:
        if member.source not in (problems.Source.NOWHERE, problems.Source.TFDS):
            member.corpus_folder(tmp_dir)
    return members


def _announce_downloads(
    problem: problems.Problem,
    spec: registry.VocabularySpec,
    members: Sequence[problems.Problem],
) -> None:
    """Says, before it begins, what is fetched for the sake of the vocabulary alone."""
    others = [
        member
        for member in members
        if member.name != problem.name and member.source is problems.Source.DOWNLOADS
    ]
    own = problem.corpus.downloads if problem.corpus else ()
    more = {
        download: download.num_bytes or 0
        for member in others
        for download in (member.corpus.downloads if member.corpus else ())
        if download not in own
    }
    if more:
        logging.warning(
            "vocabulary | %s is built from %s as well, whose files have %s; those that "
            "are not there are fetched. For a vocabulary of %s alone: "
            "--vocabulary=NAME",
            spec.filename,
            ", ".join(member.name for member in others),
            http_file.size_text(sum(more.values())),
            problem.name,
        )


def sample_texts(
    member: problems.Problem,
    *,
    num_bytes: int,
    data_dir: str,
    tmp_dir: str,
    options: GenerationOptions,
) -> list[str]:
    """Returns about `num_bytes` of training text of one problem, a fair sample.

    Every text has a random number of its own; those with the smallest ones are the
    sample. So all of the text is read, and no more than the sample held.
    """
    options.seed_generators(member, "vocabulary")
    texts = member.generate_text_for_vocab(data_dir, tmp_dir)
    if options.max_cases:
        texts = itertools.islice(texts, TEXTS_PER_CASE * options.max_cases)
    kept: list[tuple[int, int, str, int]] = []  # a heap: largest number first
    size = 0
    for number, (text, key) in enumerate(
        zip(texts, _sort_keys(member, options), strict=False)
    ):
        if size >= num_bytes and -key < kept[0][0]:
            continue
        text_bytes = len(text.encode("utf-8", errors="replace"))
        heapq.heappush(kept, (-key, number, text, text_bytes))
        size += text_bytes
        while size - kept[0][-1] >= num_bytes:
            size -= heapq.heappop(kept)[-1]
    return [text for _, _, text, _ in sorted(kept, key=operator.itemgetter(1))]


def _sort_keys(member: problems.Problem, options: GenerationOptions) -> Iterator[int]:
    key = (options.random_seed, member.name, "vocabulary")
    for start in itertools.count(0, _KEYS_AT_ONCE):
        yield from shuffling.sort_keys(start, _KEYS_AT_ONCE, *key).tolist()
