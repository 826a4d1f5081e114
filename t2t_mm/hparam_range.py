"""Ranges of hyperparameters to search, set as in Tensor2Tensor's ranged hparams sets.

@registry.register_ranged_hparams("my_range")
def my_range(rhp):
    rhp.set_float("learning_rate_constant", 0.02, 2.0, scale=rhp.LOG_SCALE)
    rhp.set_int("num_encoder_blocks", 2, 6)
    rhp.set_discrete("hidden_size", [64, 128, 256])
    rhp.set_categorical("optimizer", ["adam", "adafactor"])
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from t2t_mm import config_fields, registry

LINEAR, LOG, REVERSE_LOG = "linear", "log", "reverse_log"
_SCALES = (LINEAR, LOG, REVERSE_LOG)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Range:
    """Values that one hyperparameter may have: numbers in between, or one of some.

    Attributes:
      kind: "float", "int", "discrete" or "categorical".
      low: least number, of "float" and "int".
      high: largest number.
      scale: LOG tries as many values between 1 and 10 as between 10 and 100;
        REVERSE_LOG the same from the other end, for rates just below 1.
      choices: values to choose from, of the other kinds; in order if "discrete".
    """

    kind: str
    low: float = 0.0
    high: float = 0.0
    scale: str = LINEAR
    choices: tuple[Any, ...] = ()


class RangedHParams:
    """The ranges that a registered function sets.

    Attributes:
      ranges: by name of the hyperparameter.
    """

    LINEAR_SCALE: ClassVar[str] = LINEAR
    LOG_SCALE: ClassVar[str] = LOG
    REVERSE_LOG_SCALE: ClassVar[str] = REVERSE_LOG

    def __init__(self) -> None:
        """Starts with no ranges."""
        self.ranges: dict[str, Range] = {}

    def set_float(
        self, name: str, min_val: float, max_val: float, scale: str | None = None
    ) -> None:
        """Searches numbers from `min_val` to `max_val`."""
        self._set_numbers(name, "float", min_val, max_val, scale or LINEAR)

    def set_int(
        self, name: str, min_val: int, max_val: int, scale: str | None = None
    ) -> None:
        """Searches whole numbers from `min_val` to `max_val`, both included."""
        self._set_numbers(name, "int", min_val, max_val, scale or LINEAR)

    def set_discrete(self, name: str, feasible_points: Sequence[float]) -> None:
        """Searches numbers among some, whose order means something."""
        self._set(name, Range(kind="discrete", choices=tuple(sorted(feasible_points))))

    def set_categorical(self, name: str, categories: Sequence[Any]) -> None:
        """Searches values among some that have no order."""
        self._set(name, Range(kind="categorical", choices=tuple(categories)))

    def _set_numbers(
        self, name: str, kind: str, low: float, high: float, scale: str
    ) -> None:
        if scale not in _SCALES:
            raise ValueError(
                f"The scale of '{name}' must be one of {', '.join(_SCALES)}; got "
                f"'{scale}'."
            )
        if not low < high or (scale != LINEAR and low <= 0):
            above = " above 0" if scale != LINEAR else ""
            raise ValueError(
                f"The range of '{name}' must go from a number{above} to a larger one; "
                f"got {low} and {high}."
            )
        if kind == "int" and scale == REVERSE_LOG:
            raise ValueError(
                f"The scale of '{name}', a whole number, must be linear or log; got "
                f"'{scale}'."
            )
        self._set(name, Range(kind=kind, low=low, high=high, scale=scale))

    def _set(self, name: str, value_range: Range) -> None:
        if name in self.ranges:
            raise ValueError(f"The range of '{name}' is set twice.")
        if value_range.low == value_range.high and not value_range.choices:
            raise ValueError(f"The range of '{name}' must have a value; got none.")
        self.ranges[name] = value_range


def resolve(name: str, hparams_cls: type) -> dict[str, Range]:
    """Returns the ranges of a registered set, for hyperparameters of a model.

    Args:
      name: registered name.
      hparams_cls: type of the hyperparameters.

    Raises:
      LookupError: if no set is called so.
      ValueError: if the model has no such hyperparameter, or it is of another type.
    """
    ranged = RangedHParams()
    registry.RANGED_HPARAMS.get(name)(ranged)
    if not ranged.ranges:
        raise ValueError(f"The ranged hparams set '{name}' must set a range.")
    return {
        field: _checked(field, value_range, hparams_cls)
        for field, value_range in ranged.ranges.items()
    }


def _checked(field: str, value_range: Range, hparams_cls: type) -> Range:
    """Returns a range whose choices have the type of the field."""
    if value_range.choices:
        choices = tuple(
            config_fields.check_field(field, choice, hparams_cls)
            for choice in value_range.choices
        )
        return dataclasses.replace(value_range, choices=choices)
    number = {"float": float, "int": int}[value_range.kind]
    for bound in (value_range.low, value_range.high):
        config_fields.check_field(field, number(bound), hparams_cls)
    return value_range


def to_overrides(values: Mapping[str, Any]) -> str:
    """Returns values as --hparams takes them."""
    return ",".join(f"{field}={_literal(value)}" for field, value in values.items())


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"' if "," in value else value
    return repr(value).replace(" ", "")
