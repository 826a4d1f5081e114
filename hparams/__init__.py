"""Every hparams set that ships with t2t_mm; importing this registers them all."""

from t2t_mm.hparams import (
    multimodel,
    multimodel_ablations,
    multimodel_t2t,
    ranges,
    transformer,
)

__all__ = [
    "multimodel",
    "multimodel_ablations",
    "multimodel_t2t",
    "ranges",
    "transformer",
]
