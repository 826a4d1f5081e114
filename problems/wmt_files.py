"""The files of the WMT corpora: what they are called, where they come from.

The names are those of the organisers. In which folder a file lies does not matter, nor
whether it has been unpacked: only its own name does, or that of its archive.
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Mapping

from t2t_mm.data import corpus as corpora
from t2t_mm.data import text_files
from t2t_mm.data.text_files import TextFile

STATMT = "http://www.statmt.org/"
STATMT_DATA = "http://data.statmt.org/"
ARCHIVE_ENDS = (".tgz", ".tar.gz", ".tar")

Files = tuple[TextFile, ...]


@dataclasses.dataclass(frozen=True)
class Bitext:
    """A text in two languages.

    Attributes:
      name: what messages call it.
      files: names of inputs and targets, without folder and ".gz"; of one table.
      archives: names, without ".tgz" or the like, of archives that may hold them.
      archives_may_lack_it: whether such an archive must be looked into to know.
    """

    name: str
    files: tuple[str, ...]
    archives: tuple[str, ...] = ()
    archives_may_lack_it: bool = False


def find(
    known: Iterable[tuple[Bitext, ...]], folder: str
) -> dict[Bitext, tuple[TextFile, ...]]:
    """Returns those texts that are somewhere below a folder.

    Args:
      known: the texts, each as a tuple of alternatives; the first that is there counts.
      folder: the user's folder.

    Raises:
      ValueError: if one side of a text is missing.
    """
    paths = _paths_by_name(folder)
    found = {}
    for options in known:
        for bitext in options:
            files = _find_files(bitext, paths)
            if files:
                found[bitext] = files
                break
    return found


def _paths_by_name(folder: str) -> dict[str, str]:
    """Returns the paths of all files below a folder; of equal names, the first."""
    paths = sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
    )
    return {os.path.basename(path): path for path in reversed(paths)}


def _find_files(bitext: Bitext, paths: Mapping[str, str]) -> Files:
    archives = [
        paths[archive + end]
        for archive in bitext.archives
        for end in ARCHIVE_ENDS
        if archive + end in paths
    ]
    sides = [_find_file(name, bitext, paths, archives) for name in bitext.files]
    files = tuple(side for side in sides if side is not None)
    if files and len(files) < len(sides):
        raise ValueError(
            f"{bitext.name} must have {' and '.join(bitext.files)}; there is only "
            f"{files[0]}. Add the other, or take this one away."
        )
    return files


def _find_file(
    name: str, bitext: Bitext, paths: Mapping[str, str], archives: Iterable[str]
) -> TextFile | None:
    for file_name in (name, f"{name}.gz"):
        if file_name in paths:
            return TextFile(paths[file_name])
    for archive in archives:
        if not bitext.archives_may_lack_it or name in _member_names(archive):
            return TextFile(archive, name)
    return None


@functools.cache
def _member_names(archive: str) -> frozenset[str]:
    return frozenset(
        os.path.basename(name) for name, _ in text_files.read_members(archive)
    )


def _parallel(stem: str, inputs: str, targets: str, *archives: str) -> Bitext:
    return Bitext(stem, (f"{stem}.{inputs}", f"{stem}.{targets}"), archives)


# Training texts.


def europarl(pair: str, inputs: str, targets: str) -> Bitext:
    """Returns the proceedings of the European Parliament, "de-en" or "fr-en"."""
    archive = "training-parallel-europarl-v7"
    return _parallel(f"europarl-v7.{pair}", inputs, targets, archive)


def common_crawl(pair: str, inputs: str, targets: str) -> Bitext:
    """Returns pages of the Web, "de-en" or "fr-en"."""
    archive = "training-parallel-commoncrawl"
    return _parallel(f"commoncrawl.{pair}", inputs, targets, archive)


def news_commentary(version: str, pair: str, inputs: str, targets: str) -> Bitext:
    """Returns political comments, "v9" of "de-en" or "fr-en", or "v11" of "de-en"."""
    archive = f"training-parallel-nc-{version}"
    return _parallel(f"news-commentary-{version}.{pair}", inputs, targets, archive)


def united_nations(inputs: str, targets: str) -> Bitext:
    """Returns documents of the United Nations in English and French."""
    return _parallel("undoc.2000.fr-en", inputs, targets, "training-parallel-un")


def giga_fren(inputs: str, targets: str) -> Bitext:
    """Returns 22 million pairs of the Web in English and French."""
    return _parallel("giga-fren.release2.fixed", inputs, targets, "training-giga-fren")


GERMAN_FRENCH = (
    Bitext("europarl-v7.de-fr", ("europarl-v7.de", "europarl-v7.fr")),
    Bitext("commoncrawl.de-fr", ("commoncrawl.de", "commoncrawl.fr")),
    Bitext("news-commentary-v14.de-fr", ("news-commentary-v14.de-fr.tsv",)),
)

# Dev and test.


def newstest2013(inputs: str, targets: str) -> tuple[Bitext, ...]:
    """Returns 3,000 sentences of news: the same in all languages."""
    plain = (f"newstest2013.{inputs}", f"newstest2013.{targets}")
    marked = (f"newstest2013-src.{inputs}.sgm", f"newstest2013-ref.{targets}.sgm")
    return tuple(
        Bitext("newstest2013", files, ("dev",), archives_may_lack_it=True)
        for files in (plain, marked)
    )


def newstest2014(pair: str, inputs: str, targets: str) -> tuple[Bitext, ...]:
    """Returns 3,003 sentences of news, "deen" or "fren".

    Each direction has files of its own with the same text.
    """
    stem = f"newstest2014-{pair}"
    forwards = (f"{stem}-src.{inputs}.sgm", f"{stem}-ref.{targets}.sgm")
    backwards = (f"{stem}-ref.{inputs}.sgm", f"{stem}-src.{targets}.sgm")
    archives = ("test-full", "dev")
    return tuple(
        Bitext("newstest2014", files, archives, archives_may_lack_it=True)
        for files in (forwards, backwards)
    )


EU_ELECTIONS_2019 = Bitext(
    "euelections_dev2019.fr-de",
    ("euelections_dev2019.fr-de.tgt.de", "euelections_dev2019.fr-de.src.fr"),
    ("dev",),
    archives_may_lack_it=True,
)

# Downloads.


def _download(url: str, num_bytes: int, sha256: str) -> corpora.Download:
    return corpora.Download(
        url=url, file=os.path.basename(url), num_bytes=num_bytes, sha256=sha256
    )


EUROPARL = _download(
    STATMT + "wmt13/training-parallel-europarl-v7.tgz",
    657632379,
    "0224c7c710c8a063dfd893b0cc0830202d61f4c75c17eb8e31836103d27d96e7",
)
COMMON_CRAWL = _download(
    STATMT + "wmt13/training-parallel-commoncrawl.tgz",
    918311367,
    "c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5",
)
NEWS_V9 = _download(
    STATMT + "wmt14/training-parallel-nc-v9.tgz",
    80418416,
    "cb8953f292298e6877ae433c98912b927cb0766b303f4540512ddd286c748485",
)
NEWS_V11 = _download(
    STATMT_DATA + "wmt16/translation-task/training-parallel-nc-v11.tgz",
    75178032,
    "cfe8ab047e05043476e498ee765c98e939c7b7d6d294e856344c84476b619d6a",
)
UNITED_NATIONS = _download(
    STATMT + "wmt13/training-parallel-un.tgz",
    2365634246,
    "29141b5c1eba149a94f7a59d3b1a834b2e47fe0f8758d68dcd77a3d3f497ee47",
)
GIGA_FREN = _download(
    STATMT + "wmt10/training-giga-fren.tar",
    2595102720,
    "3ff8319f6919393520559bfbc7ad6a747ec81b3abc7be9993b338d4b017b4d9a",
)
GERMAN_FRENCH_DOWNLOADS = (
    _download(
        STATMT_DATA + "wmt19/translation-task/fr-de/bitexts/europarl-v7.de.gz",
        97417749,
        "6850fac194d2cf74a732588ac78b04488a63b79c5481779e77cbab7d0e655a1e",
    ),
    _download(
        STATMT_DATA + "wmt19/translation-task/fr-de/bitexts/europarl-v7.fr.gz",
        93157785,
        "a065d9e973cd126f0fe72437e2ae03af0cb4b102d51f711e7985034daf60de96",
    ),
    _download(
        STATMT_DATA + "wmt19/translation-task/fr-de/bitexts/commoncrawl.de.gz",
        33273148,
        "1bbbc4502130dd8152286cb0b8cadeeaeb4eff5b3f8cf1e710f6c023733cf5da",
    ),
    _download(
        STATMT_DATA + "wmt19/translation-task/fr-de/bitexts/commoncrawl.fr.gz",
        32607032,
        "cf4e89b6a8058243d7d91a978624b124f1e3a47dea4e124a7e25085e2455a5a6",
    ),
    _download(
        STATMT_DATA + "news-commentary/v14/training/news-commentary-v14.de-fr.tsv.gz",
        33904548,
        "31a7735fe2ae6d6841847fdebb5aed03d5da1c15500695154d3c35d40c29cb09",
    ),
)
DEV_AND_TEST = _download(
    STATMT_DATA + "wmt19/translation-task/dev.tgz",
    38654961,
    "7a7deccf82ebb05ba508dba5eb21356492224e8f630ec4f992132b029b4b25e7",
)


def corpus(languages: str, *training: corpora.Download) -> corpora.Corpus:
    """Returns the corpus "wmt", with the files of one pair of languages."""
    downloads = (*training, DEV_AND_TEST)
    names = "\n".join(download.file for download in downloads)
    addresses = " ".join(download.url for download in downloads)
    return corpora.Corpus(
        name="wmt",
        title=f"the {languages} texts of the WMT shared tasks",
        obtain=f"without PATH they are downloaded; by hand, they are {addresses}",
        layout=(
            f"{names}\nor the files that are in them, packed or not, in any folders. "
            "Not all of the training texts must be there."
        ),
        licence="each text has terms of its own: see statmt.org",
        downloads=downloads,
    )
