"""A user's own pictures with captions."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from t2t_mm import problem, registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import image_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import captions, split_folders

TABLE = "captions.tsv"
JSON_FILE = "captions.json"


@registry.register_problem("image_caption_folder")
class ImageCaptionFolder(image_problem.Image2TextProblem):
    """Picture to a sentence about it, 224 pixels high and wide."""

    image_shape = (224, 224, 3)
    target_space = SpaceId.EN_TOK
    corpus = corpora.Corpus(
        name="image_caption_folder",
        title="a folder of your own pictures and their captions",
        layout=(
            f"pictures, and {TABLE} with lines of file, tab and caption, or "
            f"{JSON_FILE} as COCO has it;\n"
            "or train/, dev/ and test/ that are such folders. Splits without a folder "
            "get a tenth of the pictures."
        ),
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields each picture of a split with each of its captions."""
        root = self.require_corpus_path()
        folder = split_folders.SplitFolder(root, Split(dataset_split))
        for caption in self._captions(folder.path):
            if isinstance(caption, problem.Rejected):
                yield caption
            elif folder.has(caption.file):
                path = pathlib.Path(folder.path, caption.file)
                name = os.path.relpath(path, root)
                yield {"name": name, "inputs": path, "targets": caption.text}

    def _captions(self, folder: str) -> captions.Captions:
        table = os.path.join(folder, TABLE)
        json_file = pathlib.Path(folder, JSON_FILE)
        if os.path.exists(table):
            # Lines end with "\n" only: captions may hold other separators.
            with open(
                table, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
            ) as file:
                yield from captions.from_table(file, table)
        elif json_file.exists():
            yield from captions.from_json(json_file.read_bytes(), str(json_file))
        else:
            raise FileNotFoundError(
                f"There is no {TABLE} and no {JSON_FILE} in '{folder}'. "
                f"{self.corpus.help_page(self.name, folder)}"
            )
