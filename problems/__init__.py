"""Every problem that ships with t2t_mm; importing this registers them all."""

from t2t_mm.problems import (
    algorithmic,
    cifar,
    coco,
    emoji,
    fashion_mnist,
    image_caption_folder,
    image_folder,
    imagenet,
    libreoffice_help,
    mnist,
)
from t2t_mm.problems.miniworld import problems as miniworld

__all__ = [
    "algorithmic",
    "cifar",
    "coco",
    "emoji",
    "fashion_mnist",
    "image_caption_folder",
    "image_folder",
    "imagenet",
    "libreoffice_help",
    "miniworld",
    "mnist",
]
