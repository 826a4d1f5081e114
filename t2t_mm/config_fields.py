"""Fields of configurations: their types, and values for them that are given as text.

A configuration is a frozen dataclass. A name that it does not have and a value of
another type are errors that say what there is.
"""

import ast
import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

_WRONG_TYPE = object()


class CheckedFields:
    """A configuration that can check ranges of its fields."""

    def check_positive(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are at least 1."""
        for field in fields:
            if getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must be at least 1; got {getattr(self, field)}."
                )

    def check_all_positive(self, *fields: str) -> None:
        """Raises `ValueError` unless every number of the fields is at least 1."""
        for field in fields:
            if any(number < 1 for number in getattr(self, field)):
                raise ValueError(
                    f"`{field}` must be numbers of at least 1; "
                    f"got {getattr(self, field)}."
                )

    def check_not_negative(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are at least 0."""
        for field in fields:
            if not getattr(self, field) >= 0:
                raise ValueError(
                    f"`{field}` must be at least 0; got {getattr(self, field)}."
                )

    def check_rates(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are probabilities below 1."""
        for field in fields:
            if not 0.0 <= getattr(self, field) < 1.0:
                raise ValueError(
                    f"`{field}` must be at least 0 and below 1; "
                    f"got {getattr(self, field)}."
                )

    def check_choice(self, field: str, choices: Sequence[str]) -> None:
        """Raises `ValueError` unless the field has one of the values `choices`."""
        if getattr(self, field) not in choices:
            raise ValueError(
                f"`{field}` must be one of {', '.join(choices)}; "
                f"got '{getattr(self, field)}'."
            )


def field_types(hparams_cls: type) -> dict[str, Any]:
    """Returns the annotated type of every field of a config dataclass."""
    hints = typing.get_type_hints(hparams_cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(hparams_cls)}


def check_types(config: Any) -> None:
    """Converts the fields of a frozen config to their types, where nothing is lost.

    Raises:
      ValueError: for a value of another type.
    """
    for field, kind in field_types(type(config)).items():
        value = coerce(getattr(config, field), kind)
        if value is _WRONG_TYPE:
            raise ValueError(_type_message(field, kind, getattr(config, field)))
        object.__setattr__(config, field, value)


def coerce(value: Any, kind: Any) -> Any:
    """Returns `value` as type `kind`, or a marker if it is of another type.

    Ints pass for floats and lists for tuples; nothing else is converted.
    """
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        options = [coerce(value, option) for option in typing.get_args(kind)]
        return next((o for o in options if o is not _WRONG_TYPE), _WRONG_TYPE)
    if origin is tuple:
        return _coerce_tuple(value, typing.get_args(kind)[0])
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else _WRONG_TYPE


def _coerce_tuple(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _WRONG_TYPE
    items = tuple(coerce(item, kind) for item in value)
    return _WRONG_TYPE if _WRONG_TYPE in items else items


def _type_message(field: str, kind: Any, value: Any) -> str:
    if isinstance(kind, type) and typing.get_origin(kind) is None:
        wanted = kind.__name__
    else:
        wanted = str(kind)
    return f"`{field}` must be of type {wanted}; got {value!r}."


def check_field(field: str, value: Any, hparams_cls: type) -> Any:
    """Returns a value as the type of a field.

    Raises:
      ValueError: if there is no such field (with the closest ones), or the value is of
        another type.
    """
    kinds = field_types(hparams_cls)
    if field not in kinds:
        raise ValueError(_unknown_field(field, hparams_cls))
    checked = coerce(value, kinds[field])
    if checked is _WRONG_TYPE:
        raise ValueError(_type_message(field, kinds[field], value))
    return checked


def parse_overrides(text: str, hparams_cls: type) -> dict[str, Any]:
    """Parses "hidden_size=128,kernel_sizes=(3,3)" by the types of the fields.

    Commas inside brackets or quotes separate nothing: 'mixing="a:1,b:2",moe_k=1'.

    Raises:
      ValueError: for a field that does not exist (with the closest ones), a value of
        another type, or a field given twice.
    """
    kinds = field_types(hparams_cls)
    overrides: dict[str, Any] = {}
    for item in _split_at_commas(text):
        field, equals, literal = (part.strip() for part in item.partition("="))
        if not equals or not literal:
            raise ValueError(
                f"An override must read name=value, with commas between; got '{item}'."
            )
        if field not in kinds:
            raise ValueError(_unknown_field(field, hparams_cls))
        if field in overrides:
            raise ValueError(f"`{field}` is given twice in '{text}'.")
        overrides[field] = _parse_value(field, literal, kinds[field])
    return overrides


def check_names(values: Mapping[str, Any], config_cls: type) -> dict[str, Any]:
    """Returns values by the names of fields, if they are some.

    Raises:
      ValueError: for a field that does not exist (with the closest ones).
    """
    for field in values:
        if field not in field_types(config_cls):
            raise ValueError(_unknown_field(field, config_cls))
    return dict(values)


def _unknown_field(field: str, hparams_cls: type) -> str:
    names = list(field_types(hparams_cls))
    close = difflib.get_close_matches(field, names, 3, 0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"It has: {names}."
    return f"{hparams_cls.__name__} has no field '{field}'. {hint}"


def _split_at_commas(text: str) -> list[str]:
    """Splits at the commas that stand outside of brackets and quotes."""
    items, depth, quote, current = [], 0, "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0 and not quote:
            items.append(current)
            current = ""
        else:
            current += character
    if quote:
        raise ValueError(f"A quote ({quote}) must be closed; got '{text}'.")
    return [item for item in [*items, current] if item.strip()]


def _parse_value(field: str, literal: str, kind: Any) -> Any:
    if kind is str:
        return literal.strip("'\"")
    try:
        value = ast.literal_eval(
            {"true": "True", "false": "False", "none": "None"}.get(
                literal.lower(), literal
            )
        )
    except (ValueError, SyntaxError):
        value = literal
    if value is not literal and coerce(value, kind) is not _WRONG_TYPE:
        return coerce(value, kind)
    if coerce(literal, kind) is not _WRONG_TYPE:
        return literal
    raise ValueError(_type_message(field, kind, value))


def parse_pairs(field: str, text: str) -> list[tuple[str, float]]:
    """Parses the value of a field that reads "name:number,name:number".

    Raises:
      ValueError: if it does not read so, a number is below 0 or a name comes twice.
    """
    pairs: dict[str, float] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, number = (part.strip() for part in item.rpartition(":"))
        if not name or name in pairs:
            raise ValueError(
                f"`{field}` must read name:number, with commas between and each name "
                f"once; got '{text}'."
            )
        pairs[name] = parse_number(field, number, text)
    return list(pairs.items())


def parse_number(field: str, number: str, text: str) -> float:
    """Returns the number in `text`, the value of a field.

    Raises:
      ValueError: if it is none, infinite or below 0.
    """
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise ValueError(
            f"`{field}` must have a number of at least 0 for '{number}'; got '{text}'."
        )
    return value
