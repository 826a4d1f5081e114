"""Every model that ships with t2t_mm; importing this registers them all."""

from t2t_mm.models import multimodel, transformer

__all__ = ["multimodel", "transformer"]
