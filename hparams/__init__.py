"""Every hparams set that ships with t2t_mm; importing this registers them all."""

from t2t_mm.hparams import multimodel, multimodel_ablations, transformer

__all__ = ["multimodel", "multimodel_ablations", "transformer"]
