"""Every problem that ships with t2t_mm; importing this registers them all."""

from t2t_mm.problems import (
    algorithmic,
    aliases,
    cifar,
    coco,
    emoji,
    fashion_mnist,
    gum,
    image_caption_folder,
    image_folder,
    imagenet,
    imdb,
    libreoffice_help,
    mnist,
    parsing,
    text_folders,
    tfds_pairs,
    wmt,
)
from t2t_mm.problems.miniworld import problems as miniworld

__all__ = [
    "algorithmic",
    "aliases",
    "cifar",
    "coco",
    "emoji",
    "fashion_mnist",
    "gum",
    "image_caption_folder",
    "image_folder",
    "imagenet",
    "imdb",
    "libreoffice_help",
    "miniworld",
    "mnist",
    "parsing",
    "text_folders",
    "tfds_pairs",
    "wmt",
]
