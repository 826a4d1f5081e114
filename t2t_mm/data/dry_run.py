"""What making some problems would fetch, read and build; nothing is done."""

import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import downloads, generation, http_file, tfds_source, vocabulary
from t2t_mm.data.options import GenerationOptions

LACKING = "lacking"  # begins a line on what a user must see to


def report(
    names: Sequence[str], data_dir: str, tmp_dir: str, options: GenerationOptions
) -> Iterator[str]:
    """Yields lines on what `generation.generate` would do with some problems.

    Needs no network and writes nothing.

    Args:
      names: of the problems.
      data_dir: folder of records and vocabularies; may not exist.
      tmp_dir: folder of downloads; may not exist.
      options: seed, limits and corpora.
    """
    dry_run = _DryRun(data_dir=data_dir, tmp_dir=tmp_dir, options=options)
    for name in names:
        yield from dry_run.problem(options.configured(registry.problem(name)))
    others = [name for name in dry_run.members if name not in names]
    for name in others:
        yield f"{name}: would be read for a vocabulary"
        yield from dry_run.sources(options.configured(registry.problem(name)))
    yield from dry_run.sums()


@dataclasses.dataclass(kw_only=True)
class _DryRun:
    """One report.

    Attributes:
      data_dir: see `report`.
      tmp_dir: see `report`.
      options: see `report`.
      members: problems that vocabularies would be built from.
      bytes_to_fetch: by the file that they would go to.
      tfds_root: where TensorFlow Datasets would prepare something; None if nothing.
    """

    data_dir: str
    tmp_dir: str
    options: GenerationOptions
    members: dict[str, None] = dataclasses.field(default_factory=dict)
    bytes_to_fetch: dict[str, int | None] = dataclasses.field(default_factory=dict)
    tfds_root: str | None = None

    def problem(self, problem: problems.Problem) -> Iterator[str]:
        """Yields the lines of one problem."""
        try:
            reasons = generation.reasons_to_make(problem, self.data_dir, self.options)
        except OSError:  # of the corpus; `sources` says more
            reasons = ["there are no records"]
        if not reasons:
            yield f"{problem.name}: is up to date in {self.data_dir}"
            return
        lines = list(self.sources(problem))
        lacks = any(line.strip().startswith(LACKING) for line in lines)
        would = "cannot be made as it is" if lacks else "would be made"
        yield f"{problem.name}: {would} ({'; '.join(reasons)})"
        yield from lines
        yield from self._vocabulary(problem)

    def _vocabulary(self, problem: problems.Problem) -> Iterator[str]:
        vocabulary.choose(problem, self.data_dir, self.options.vocabulary)
        spec = problem.vocabulary_spec
        reason = vocabulary.reason_to_build(problem, self.data_dir, self.options)
        if spec is not None and reason is not None:
            members = ", ".join(spec.problems)
            yield f"  build {os.path.join(self.data_dir, spec.filename)} from {members}"
            self.members.update(dict.fromkeys(spec.problems))

    def sources(self, problem: problems.Problem) -> Iterator[str]:
        """Yields lines on where the samples would come from."""
        source = problem.source
        if source is problems.Source.NOWHERE:
            yield f"  {source.value}"
        elif source is problems.Source.TFDS:
            yield from self._tfds(problem)
        elif source is problems.Source.DOWNLOADS and problem.corpus is not None:
            folder = downloads.Folder(corpus=problem.corpus, tmp_dir=self.tmp_dir)
            yield from self._downloads(folder)
        else:
            yield from self._path(problem)

    def _path(self, problem: problems.Problem) -> Iterator[str]:
        try:
            path = problem.corpus_folder(self.tmp_dir)
        except (OSError, ValueError) as error:
            first, *more = str(error).splitlines()
            yield f"  {LACKING} corpus: {first}"
            yield from (f"    {line}" for line in more)
            return
        yield f"  read {path} ({corpora.describe(path)})"

    def _downloads(self, folder: downloads.Folder) -> Iterator[str]:
        for download in folder.corpus.downloads:
            file = folder.file(download)
            state, num_bytes = folder.state(download)
            size = http_file.size_text(download.num_bytes)
            had = http_file.size_text(num_bytes)
            if state is downloads.State.COMPLETE:
                yield f"  read {file} ({had}, {state.value})"
                continue
            if state is downloads.State.WRONG:
                yield f"  {LACKING} right {file}: it must have {size} and has {had}"
                continue
            known = download.num_bytes
            self.bytes_to_fetch[file] = known and max(0, known - num_bytes)
            there = f", {had} are there" if num_bytes else ""
            yield f"  fetch {download.url} ({size}{there}) to {file}"

    def _tfds(self, problem: problems.Problem) -> Iterator[str]:
        plan = tfds_source.plan(problem.tfds_name or "", self.tmp_dir)
        if plan.prepared is not None:
            yield f"  read {plan.name} of TensorFlow Datasets in {plan.prepared}"
            return
        self.tfds_root = root = os.path.dirname(plan.files_dir)
        yield f"  prepare {plan.name} of TensorFlow Datasets in {root}"
        folder = downloads.Folder(corpus=plan.corpus, tmp_dir=plan.files_dir)
        yield from self._downloads(folder)
        for url in plan.other_urls:
            self.bytes_to_fetch[url] = None
            yield f"  fetch {url} (size unknown) to {root}/downloads"
        if plan.manual is not None:
            found = corpora.describe(plan.manual_dir)
            lack = "" if os.path.isdir(plan.manual_dir) else f"{LACKING} corpus: "
            yield f"  {lack}put it into {plan.manual_dir} by hand ({found})"
            lines = plan.manual.strip().splitlines()
            yield from (f"    {line.strip()}" for line in lines)

    def sums(self) -> Iterator[str]:
        """Yields lines on all that would be fetched, and the room there is."""
        known = [size for size in self.bytes_to_fetch.values() if size is not None]
        unknown = len(self.bytes_to_fetch) - len(known)
        more = f" and {unknown} files of unknown size" if unknown else ""
        if self.tfds_root:
            yield (
                f"TensorFlow Datasets unpacks and copies what it fetches in "
                f"{self.tfds_root}: it takes two to three times the room."
            )
        yield f"To fetch: {http_file.size_text(sum(known))}{more}."
        for path in dict.fromkeys((self.tmp_dir, self.data_dir)):
            free = shutil.disk_usage(_existing_parent(path)).free
            yield f"Free in {path}: {http_file.size_text(free)}."
        yield "Nothing was fetched, made or written."


def _existing_parent(path: str) -> str:
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
