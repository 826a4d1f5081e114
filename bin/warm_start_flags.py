"""Flags of a warm start, and of what may change when a run goes on."""

from absl import flags

from t2t_mm.training.warm_start_config import (
    MISMATCHES,
    REFUSE,
    WarmStartConfig,
)

_PREFIX = "warm_start_"


_BOOLS = {
    "warm_start_step": "Begin at that run's step, for learning rate and mixing, and "
    "not at 0.",
    "warm_start_optimizer": "Take over the state of its optimizer too, such as "
    "moments.",
}
_LISTS = {
    "warm_start_exclude": "Shell patterns of variables to leave as they are "
    "initialised: '*/softmax'.",
    "warm_start_rename": "Where to take variables from whose names begin otherwise "
    "there, as NEW=OLD: 'symbol_bytes_258/input=symbol_bytes_258/shared'.",
    "change_hparams": "Names of hparams that may differ from those of the run so far: "
    "'dropout,learning_rate_constant'.",
}


def define(values: flags.FlagValues) -> None:
    """Defines --warm_start_from, the flags that say how, and --change_hparams."""
    flags.DEFINE_string(
        "warm_start_from",
        None,
        "Folder of a run, or a checkpoint in it such as run/ckpt-1000, to begin with "
        "the weights of. Prints what was taken over. Not repeated when the run goes "
        "on.",
        flag_values=values,
    )
    for name, text in _BOOLS.items():
        flags.DEFINE_bool(name, False, text, flag_values=values)
    flags.DEFINE_list(
        "warm_start_include",
        ["*"],
        "Shell patterns of variables to take over, by names without the model's: "
        "'encoder*,commands'.",
        flag_values=values,
    )
    for name, text in _LISTS.items():
        flags.DEFINE_list(name, [], text, flag_values=values)
    flags.DEFINE_enum(
        "warm_start_mismatch",
        REFUSE,
        MISMATCHES,
        "What becomes of variables of other shapes: refuse to start, skip them, or "
        "resize: copy the part that both have.",
        flag_values=values,
    )


def config(values: flags.FlagValues) -> WarmStartConfig | None:
    """Returns the warm start that flags ask for, or None.

    Raises:
      ValueError: if flags say how and not from where, or a renaming cannot be read.
    """
    given = [
        name
        for name in values
        if name.startswith(_PREFIX) and values[name].using_default_value is False
    ]
    if not values.warm_start_from:
        if given:
            raise ValueError(
                f"--{given[0]} has an effect with --warm_start_from only, which must "
                "be given then."
            )
        return None
    return WarmStartConfig(
        path=values.warm_start_from,
        step=values.warm_start_step,
        optimizer=values.warm_start_optimizer,
        include=tuple(values.warm_start_include),
        exclude=tuple(values.warm_start_exclude),
        renamed=dict(map(_parse_renaming, values.warm_start_rename)),
        mismatch=values.warm_start_mismatch,
    )


def _parse_renaming(item: str) -> tuple[str, str]:
    new, _, old = item.partition("=")
    if not new or not old:
        raise ValueError(f"--warm_start_rename must read NEW=OLD; got '{item}'.")
    return new, old
