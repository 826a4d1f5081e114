"""Reviews of films, and whether they praise them (Maas et al., ACL 2011)."""

import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import splits, text_files, text_problem, tfds_source
from t2t_mm.features import SpaceId, Split

DEV_PERCENT = 10  # of the training reviews

Review = dict[str, Any] | problem.Rejected

_REVIEW = re.compile(r"(?:^|/)((train|test)/(neg|pos)/\d+_\d+\.txt)$")


@registry.register_problem("imdb")
class Imdb(text_problem.Text2ClassProblem):
    """Review of a film to "neg" or "pos".

    The official test reviews are the test split. Dev are those training reviews whose
    text has a hash that says so, wherever they are read from.
    """

    input_space = SpaceId.EN_TOK
    class_names = ("neg", "pos")
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "neg_log_perplexity")
    tfds_name: ClassVar[str | None] = "imdb_reviews"
    corpus = corpora.Corpus(
        name="imdb",
        title="the Large Movie Review Dataset, 50,000 reviews with labels",
        obtain=(
            "without PATH it is taken from TensorFlow Datasets; by hand, it is "
            "http://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz (84 MB)"
        ),
        layout="aclImdb_v1.tar.gz itself, or its folder aclImdb with train/ and test/.",
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[Review]:
        """Yields the reviews of one split.

        Raises:
          FileNotFoundError: if there are no reviews where they should be.
        """
        split = Split(dataset_split)
        part = "test" if split == Split.TEST else "train"
        if self.corpus_path is None:
            reviews = read_tfds(part, tmp_dir)
        else:
            reviews = read_corpus(self.require_corpus_path(), part)
        is_empty = True
        for review in reviews:
            is_empty = False
            if isinstance(review, problem.Rejected):
                yield from [review] * (split != Split.EVAL)  # said once
            elif split == Split.TEST or split == splits.by_hash(
                review["inputs"], dev_percent=DEV_PERCENT, test_percent=0
            ):
                yield review
        if is_empty:
            raise FileNotFoundError(self.corpus.help_page(self.name, self.corpus_path))


def read_tfds(part: str, tmp_dir: str) -> Iterator[Review]:
    """Yields the reviews of "train" or "test" from TensorFlow Datasets."""
    for sample in tfds_source.samples("imdb_reviews", part, tmp_dir):
        yield {
            "inputs": sample["text"],
            "label": int(sample["label"]),
            "name": sample["tfds_id"],
        }


def read_corpus(path: str, part: str) -> Iterator[Review]:
    """Yields the reviews of "train" or "test" from the folder or the archive.

    Praise and blame take turns, so that the first few are some of both. The reviews of
    an archive are held in memory to that end (35 MB).
    """
    if os.path.isfile(path):
        contents: dict[str, bytes | str] = {
            match[1]: content.read()
            for name, content in text_files.read_members(path)
            if (match := _REVIEW.search(name)) and match[2] == part
        }
    else:
        contents = {
            match[1]: os.path.join(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if (match := _REVIEW.search(os.path.join(folder, name)))
            and match[2] == part
        }
    for name in sorted(contents, key=lambda name: (os.path.basename(name), name)):
        content = contents[name]
        if isinstance(content, str):
            with open(content, "rb") as file:
                content = file.read()
        yield _review(name, content)


def _review(name: str, content: bytes) -> Review:
    try:
        inputs = content.decode().strip()
    except UnicodeDecodeError:
        return problem.Rejected(name=name, reason="not UTF-8")
    if not inputs:
        return problem.Rejected(name=name, reason="empty review", harmless=True)
    return {"inputs": inputs, "label": name.split("/")[1], "name": name}
