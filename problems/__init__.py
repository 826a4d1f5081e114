"""Every problem that ships with t2t_mm; importing this registers them all."""

from t2t_mm.problems import algorithmic, fashion_mnist, gum, libreoffice_help, parsing
from t2t_mm.problems.miniworld import problems as miniworld

__all__ = [
    "algorithmic",
    "fashion_mnist",
    "gum",
    "libreoffice_help",
    "miniworld",
    "parsing",
]
