"""Ranges of hyperparameters for --hparams_range."""

from t2t_mm import registry
from t2t_mm.hparam_range import RangedHParams


@registry.register_ranged_hparams("optimizer_range")
def optimizer_range(rhp: RangedHParams) -> None:
    """What matters most for any model: how it learns."""
    rhp.set_float("learning_rate_constant", 0.01, 3.0, scale=rhp.LOG_SCALE)
    rhp.set_int("learning_rate_warmup_steps", 100, 10_000, scale=rhp.LOG_SCALE)
    rhp.set_float("optimizer_adam_beta2", 0.9, 0.9999, scale=rhp.REVERSE_LOG_SCALE)
    rhp.set_float("dropout", 0.0, 0.4)


@registry.register_ranged_hparams("transformer_range")
def transformer_range(rhp: RangedHParams) -> None:
    """Learning and depth of `transformer`."""
    rhp.set_float("learning_rate_constant", 0.3, 3.0, scale=rhp.LOG_SCALE)
    rhp.set_discrete("learning_rate_warmup_steps", [1000, 2000, 4000, 8000, 16000])
    rhp.set_float("dropout", 0.0, 0.3)
    rhp.set_int("num_hidden_layers", 2, 8)


@registry.register_ranged_hparams("multimodel_range")
def multimodel_range(rhp: RangedHParams) -> None:
    """Learning and the mixture of experts of `multimodel`."""
    rhp.set_float("learning_rate_constant", 0.02, 2.0, scale=rhp.LOG_SCALE)
    rhp.set_discrete("learning_rate_warmup_steps", [500, 1000, 2000, 4000, 8000])
    rhp.set_float("dropout", 0.0, 0.3)
    rhp.set_discrete("moe_k", [1, 2, 4])
    rhp.set_categorical("mixing", ["proportional", "equal", "temperature:2"])
