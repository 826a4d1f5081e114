"""Fetching the files of a corpus: resumed, verified, whole or not at all."""

from t2t_mm.data import corpus as corpora


def fetch(corpus: corpora.Corpus, tmp_dir: str) -> str:
    """Fetches the files of a corpus that are not there; returns their folder.

    Args:
      corpus: what to fetch.
      tmp_dir: where the folder of the corpus is.

    Raises:
      OSError: if a file cannot be fetched; names the files and where to put them.
      ValueError: if a file has another content than it should.
    """
    raise NotImplementedError


def extract(archive: str, folder: str) -> str:
    """Unpacks a tar or zip archive, unless `folder` exists; returns `folder`.

    Args:
      archive: the file.
      folder: where its members go; exists only when all of them are there.

    Raises:
      ValueError: if the archive is damaged, or a member would lie elsewhere.
    """
    raise NotImplementedError
