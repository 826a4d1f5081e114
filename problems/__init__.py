"""Every problem that ships with t2t_mm; importing this registers them all."""

from t2t_mm.problems import (
    algorithmic,
    aliases,
    fashion_mnist,
    imdb,
    libreoffice_help,
    text_folders,
    tfds_pairs,
    wmt,
)
from t2t_mm.problems.miniworld import problems as miniworld

__all__ = [
    "algorithmic",
    "aliases",
    "fashion_mnist",
    "imdb",
    "libreoffice_help",
    "miniworld",
    "text_folders",
    "tfds_pairs",
    "wmt",
]
