"""Every model that ships with t2t_mm; importing this registers them all."""

from t2t_mm.models import multimodel, multimodel_t2t, transformer

__all__ = ["multimodel", "multimodel_t2t", "transformer"]
