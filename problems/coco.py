"""COCO: photographs with five or more captions each (arXiv:1504.00325)."""

import os
import pathlib
from collections.abc import Iterator
from typing import Any

from t2t_mm import problem, registry
from t2t_mm.data import archives, image_problem, tfds_source
from t2t_mm.data import corpus as corpora
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import captions, split_folders

Samples = Iterator[dict[str, Any] | problem.Rejected]

# Validation is for testing, as its captions are what results were published for before
# there was another agreement; dev is a tenth of the training images.
FOLDERS = {Split.TRAIN: "train2014", Split.EVAL: "train2014", Split.TEST: "val2014"}
HELD_OUT = (Split.EVAL,)
ANNOTATIONS = "annotations/captions_{}.json"
ANNOTATION_ARCHIVES = (
    "annotations_trainval2014.zip",
    "captions_train-val2014.zip",
)
# Those of Karpathy and Li, which most papers use.
TFDS_SPLITS = {Split.TRAIN: "train+restval", Split.EVAL: "val", Split.TEST: "test"}


@registry.register_problem("coco_captions")
class CocoCaptions(image_problem.Image2TextProblem):
    """Photograph to an English sentence: a sample for each image and caption.

    Images are made square without cutting anything off: captions may mention it.
    """

    image_shape = (299, 299, 3)
    target_space = SpaceId.EN_TOK
    corpus = corpora.Corpus(
        name="coco",
        title="the images of COCO 2014 and their captions",
        obtain=(
            "from https://cocodataset.org: train2014.zip (13 GB), val2014.zip (6 GB) "
            "and annotations_trainval2014.zip (241 MB)."
        ),
        licence="captions CC BY 4.0; the images are Flickr's users'.",
        layout=(
            "train2014.zip, val2014.zip and annotations_trainval2014.zip,\n"
            "or what is in them: train2014/, val2014/ and "
            "annotations/captions_{train,val}2014.json"
        ),
        stand_ins=("image_caption_folder",),
    )
    tfds_name = "coco_captions"

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": Split.TRAIN, "shards": 100},
            {"split": Split.EVAL, "shards": 10},
            {"split": Split.TEST, "shards": 40},
        ]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Samples:
        """Yields each image of a split with each of its captions."""
        split = Split(dataset_split)
        if self.corpus_path is None:
            return tfds_samples(self.tfds_name, TFDS_SPLITS[split], tmp_dir)
        return self._corpus_samples(self.require_corpus_path(), split)

    def _corpus_samples(self, root: str, split: Split) -> Samples:
        folder = FOLDERS[split]
        annotations = self._annotations(root, folder)
        for caption in captions.from_json(annotations.read_bytes(), str(annotations)):
            if isinstance(caption, problem.Rejected):
                yield caption
            elif _split_of(caption, folder) == split:
                name = f"{folder}/{caption.file}"
                inputs = archives.file_or_member(root, name, f"{folder}.zip")
                yield {"name": name, "inputs": inputs, "targets": caption.text}

    def _annotations(self, root: str, folder: str) -> pathlib.Path | archives.ZipMember:
        name = ANNOTATIONS.format(folder)
        for file in (name, os.path.basename(name)):
            if (path := pathlib.Path(root, file)).exists():
                return path
        for archive in ANNOTATION_ARCHIVES:
            if os.path.exists(zipped := os.path.join(root, archive)):
                return archives.ZipMember(zipped, name)
        page = self.corpus.help_page(self.name, root)
        raise FileNotFoundError(f"There is no '{name}' in '{root}'. {page}")


def _split_of(caption: captions.Caption, folder: str) -> Split:
    if folder == FOLDERS[Split.TEST]:
        return Split.TEST
    return split_folders.tenth_of(caption.file, HELD_OUT)


def tfds_samples(name: str, split: str, tmp_dir: str) -> Samples:
    """Yields each image with each of its captions, from TensorFlow Datasets."""
    for sample in tfds_source.samples(name, split, tmp_dir):
        for text in sample["captions"]["text"]:
            text = text.decode() if isinstance(text, bytes) else str(text)
            caption = captions.checked(sample["tfds_id"], sample["tfds_id"], text)
            if isinstance(caption, problem.Rejected):
                yield caption
                continue
            yield {
                "name": caption.file,
                "inputs": sample["image"],
                "targets": caption.text,
            }
