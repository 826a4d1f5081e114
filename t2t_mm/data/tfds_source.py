"""Samples of a dataset of TensorFlow Datasets (TFDS).

TFDS begins a download again when it is cut off, and without a network it gives up after
minutes. So its files are fetched by `downloads.py`, with the size and SHA-256 that TFDS
knows, and TFDS finds them among its own. All is kept in `tmp_dir/tensorflow_datasets`:
downloads by their own names in `files`, the cache of TFDS in `downloads`, and beside
them the prepared datasets.

TensorFlow is imported when the first sample is read; encode samples elsewhere.
"""

import collections
import contextlib
import dataclasses
import importlib.util
import inspect
import os
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epy

from t2t_mm.data import corpus as corpora
from t2t_mm.data import downloads, http_file

with epy.lazy_imports():
    import tensorflow as tf
    import tensorflow_datasets as tfds
    import tree
    from etils import epath

FOLDER = "tensorflow_datasets"  # in `tmp_dir`
EXAMPLES_PER_READ = 256

_ONLY_TFDS_CAN_FETCH = ("drive.google.com",)  # it asks a question first


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What there is of a dataset, and what it takes to prepare it.

    Attributes:
      name: the dataset, configuration and version.
      prepared: the folder of the prepared dataset; None if it is not prepared.
      corpus: the files that are fetched before TFDS looks for them.
      other_urls: what only TFDS itself can fetch.
      manual: how to get what a user must fetch by hand; None if there is no need.
      manual_dir: where that belongs.
    """

    name: str
    prepared: str | None
    corpus: corpora.Corpus
    other_urls: tuple[str, ...] = ()
    manual: str | None = None
    manual_dir: str

    @property
    def files_dir(self) -> str:
        """The folder of the folder of the files of `corpus`."""
        return os.path.join(os.path.dirname(os.path.dirname(self.manual_dir)), "files")


def samples(name: str, split: str, tmp_dir: str) -> Iterator[dict[str, Any]]:
    """Yields the samples of a split in an order that never changes.

    Text is str, an image the bytes of its file, everything else NumPy; "tfds_id" names
    the sample. Text that is not UTF-8 keeps its bytes as lone surrogates, so that
    encoding it fails.

    Args:
      name: the dataset, as "wmt14_translate/de-en".
      split: such as "train", or "train[:90%]".
      tmp_dir: where it is downloaded and prepared, unless it is prepared in
        TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
      OSError: if a file cannot be fetched; names the files and where to put them.
      ValueError: if a file has another content than it should, or TFDS cannot prepare
        or does not know the dataset or the split.
    """
    builder = _builder(name, tmp_dir)
    if not is_prepared(builder):
        _prepare(builder, tmp_dir)
    features = builder.info.features
    for example in _examples(builder, split):
        yield _plain(example, features)


def plan(name: str, tmp_dir: str) -> Plan:
    """Returns what it takes to read a dataset; fetches and writes nothing.

    Raises:
      ValueError: if TFDS does not know the dataset.
    """
    return _plan(_builder(name, tmp_dir), tmp_dir)


def is_prepared(builder: Any) -> bool:
    """Returns whether a dataset can be read as it is."""
    return builder.data_path.exists() and builder.is_prepared()


def _builder(name: str, tmp_dir: str) -> Any:
    try:
        builder = tfds.builder(name)
        if is_prepared(builder):
            return builder
        return tfds.builder(name, data_dir=_root(tmp_dir))
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"TensorFlow Datasets does not have '{name}': {error} Its datasets are "
            "listed by tfds.list_builders()."
        ) from None


def _root(tmp_dir: str) -> str:
    return os.path.join(os.path.abspath(tmp_dir), FOLDER)


# Preparing.


def _prepare(builder: Any, tmp_dir: str) -> None:
    root = _root(tmp_dir)
    os.makedirs(root, exist_ok=True)
    lock = os.path.join(root, f".{builder.name}.lock")
    with downloads.locked(lock, f"prepares {builder.name}"):
        if is_prepared(builder):
            return
        wanted = _plan(builder, tmp_dir)
        _check_needs(builder, wanted)
        _fetch(builder, wanted)
        if wanted.other_urls:
            http_file.check_reachable(wanted.other_urls[0])
        config = tfds.download.DownloadConfig(try_download_gcs=False)
        cache = os.path.join(root, "downloads")
        try:
            builder.download_and_prepare(download_dir=cache, download_config=config)
        except Exception as error:  # whatever any dataset and its libraries raise
            raise ValueError(
                f"TensorFlow Datasets cannot prepare {wanted.name}. "
                f"{type(error).__name__}: {error}"
            ) from error


def _plan(builder: Any, tmp_dir: str) -> Plan:
    root = _root(tmp_dir)
    prepared = is_prepared(builder)
    manual_dir = os.path.join(root, "downloads", "manual")
    recorder = _Recorder(manual_dir)
    if not prepared:
        recorder.run(builder)
    ours = [url for url in recorder.urls if _is_fetched_by_us(url)]
    return Plan(
        name=builder.info.full_name,
        prepared=str(builder.data_dir) if prepared else None,
        corpus=corpora.Corpus(
            name=builder.name,
            title=f"{builder.info.full_name} of TensorFlow Datasets",
            downloads=_downloads(ours, builder.url_infos or {}),
        ),
        other_urls=tuple(url for url in recorder.urls if url not in ours),
        manual=builder.MANUAL_DOWNLOAD_INSTRUCTIONS if recorder.asked_manual else None,
        manual_dir=manual_dir,
    )


def _is_fetched_by_us(url: str) -> bool:
    parts = urllib.parse.urlsplit(url)
    is_http = parts.scheme in ("http", "https")
    return is_http and parts.netloc not in _ONLY_TFDS_CAN_FETCH


def _downloads(
    urls: Sequence[str], infos: Mapping[str, Any]
) -> tuple[corpora.Download, ...]:
    """Returns the files of some URLs, each with a name of its own."""
    names = {
        url: getattr(infos.get(url), "filename", None) or _last_part(url)
        for url in urls
    }
    uses = collections.Counter(names.values())
    return tuple(
        corpora.Download(
            url=url,
            file=name if uses[name] == 1 else _cache_name(url, infos.get(url)),
            num_bytes=int(infos[url].size) if url in infos else None,
            sha256=infos[url].checksum if url in infos else None,
        )
        for url, name in names.items()
    )


def _last_part(url: str) -> str:
    return os.path.basename(urllib.parse.urlsplit(url).path) or "index.html"


def _cache_name(url: str, info: Any) -> str:
    """Returns how TFDS names a file in its cache: by its URL, and content if known."""
    checksum = info.checksum if info else None
    return tfds.core.download.resource.get_dl_fname(url, checksum)


def _check_needs(builder: Any, wanted: Plan) -> None:
    """Checks for what no download brings.

    Raises:
      FileNotFoundError: if files must be put there by hand.
      ValueError: if Apache Beam is needed and not installed.
    """
    manual_dir = wanted.manual_dir
    if wanted.manual and not (os.path.isdir(manual_dir) and os.listdir(manual_dir)):
        raise FileNotFoundError(
            f"{wanted.name} of TensorFlow Datasets is made from files that must be put "
            f"by hand into '{manual_dir}', which has none. {wanted.manual.strip()}"
        )
    needs_beam = isinstance(builder, tfds.core.BeamBasedBuilder)
    if needs_beam and importlib.util.find_spec("apache_beam") is None:
        raise ValueError(
            f"{wanted.name} of TensorFlow Datasets is prepared by Apache Beam, which "
            "is not installed: pip install 't2t-mm[beam]'."
        )


def _fetch(builder: Any, wanted: Plan) -> None:
    """Fetches files and puts them where TFDS looks for what it has fetched before."""
    if not wanted.corpus.downloads:
        return
    alternative = (
        "Or, if you have it prepared, say where: TFDS_DATA_DIR=FOLDER in the "
        "environment, ~/tensorflow_datasets if not given."
    )
    folder = downloads.fetch(wanted.corpus, wanted.files_dir, alternative)
    cache = os.path.join(os.path.dirname(wanted.manual_dir), builder.name)
    for download in wanted.corpus.downloads:
        file = os.path.join(folder, download.file)
        info = (builder.url_infos or {}).get(download.url)
        cached = epath.Path(cache) / _cache_name(download.url, info)
        if tfds.core.download.resource.is_locally_cached(cached):
            continue
        _link(file, os.fspath(cached))
        tfds.core.download.resource.write_info_file(
            url=download.url,
            path=cached,
            dataset_name=builder.name,
            original_fname=os.path.basename(file),  # its end says what it is
            url_info=info or tfds.core.download.checksums.compute_url_info(file),
        )


def _link(file: str, other: str) -> None:
    os.makedirs(os.path.dirname(other), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.remove(other)
    try:
        os.link(file, other)
    except OSError:  # a file system without them
        os.symlink(file, other)


class _Recorder:
    """Stands for TFDS's download manager; notes what a dataset asks for.

    Attributes:
      urls: what it wants to download.
      asked_manual: whether it wants to read files that were fetched by hand.
    """

    def __init__(self, manual_dir: str) -> None:
        self.urls: list[str] = []
        self.asked_manual = False
        self._manual_dir = manual_dir

    def run(self, builder: Any) -> None:
        """Lets a dataset ask for its files."""
        ask = builder._split_generators
        takes_pipeline = "pipeline" in inspect.signature(ask).parameters
        with contextlib.suppress(Exception):  # it may look into what is not there
            ask(self, **({"pipeline": None} if takes_pipeline else {}))

    def download(self, urls: Any) -> Any:
        """Notes URLs; returns paths in their place."""
        return tree.map_structure(self._note, urls)

    download_and_extract = download

    def extract(self, paths: Any) -> Any:
        """Returns paths as they are."""
        return paths

    def iter_archive(self, path: Any) -> Iterator[Any]:
        """Yields nothing."""
        return iter(())

    @property
    def download_dir(self) -> Any:
        """A path where nothing is."""
        return epath.Path("/nonexistent")

    @property
    def manual_dir(self) -> Any:
        """The folder of files that were fetched by hand."""
        self.asked_manual = True
        return epath.Path(self._manual_dir)

    def _note(self, resource: Any) -> Any:
        url = getattr(resource, "url", resource)
        if url not in self.urls:
            self.urls.append(url)
        return epath.Path("/nonexistent") / _last_part(url)


# Reading.


def _examples(builder: Any, split: str) -> Iterator[dict[str, Any]]:
    """Yields examples as TFDS gives them, with images that are not decoded."""
    try:
        dataset = builder.as_dataset(
            split=split,
            shuffle_files=False,
            decoders=_skip_images(builder.info.features) or None,
            read_config=tfds.ReadConfig(
                interleave_cycle_length=1,  # files one after the other
                try_autocache=False,
                add_tfds_id=True,
            ),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{builder.info.full_name} cannot be read for the split '{split}': {error}"
        ) from None
    shapes = [spec.shape for spec in tf.nest.flatten(dataset.element_spec)]
    if not all(shape.is_fully_defined() for shape in shapes):
        yield from dataset.as_numpy_iterator()
        return
    # One by one costs more than the reading itself.
    for batch in dataset.batch(EXAMPLES_PER_READ).as_numpy_iterator():
        for row in range(len(batch["tfds_id"])):
            yield tf.nest.map_structure(lambda values, row=row: values[row], batch)


def _skip_images(features: Any) -> dict[str, Any]:
    """Returns decoders that leave images as files, not those within sequences."""
    decoders: dict[str, Any] = {}
    for name, feature in features.items():
        if isinstance(feature, tfds.features.Image):
            decoders[name] = tfds.decode.SkipDecoding()
        elif isinstance(feature, tfds.features.FeaturesDict):
            if inner := _skip_images(feature):
                decoders[name] = inner
    return decoders


def _plain(value: Any, feature: Any) -> Any:
    if isinstance(value, dict):
        parts = getattr(feature, "feature", feature)  # of a sequence
        return {
            key: _plain(item, parts[key] if key in parts else None)
            for key, item in value.items()
        }
    if isinstance(value, bytes) and not isinstance(feature, tfds.features.Image):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [_plain(item, feature) for item in value]
    return value
