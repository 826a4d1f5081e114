"""Settings in gin files and gin bindings, for config dataclasses that are named.

gin is only the reader: its store is emptied before and after every call.
"""

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gin

from t2t_mm import config_fields


def read_gin(
    targets: Mapping[str, type], files: Sequence[str], bindings: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Reads gin files, then bindings, and returns the values bound to each target.

    Args:
      targets: config dataclasses by the name that bindings use for them, such as
        `{"multimodel_tiny": MultiModelHParams, "RunConfig": RunConfig}`.
      files: paths of gin files, read in order.
      bindings: lines such as "multimodel_tiny.hidden_size = 64"; later wins.

    Raises:
      FileNotFoundError: if a file does not exist.
      ValueError: for a syntax error, for a binding of a target that is not in
        `targets` or of a field that it does not have, or for a wrong type.
    """
    for file in files:
        if not pathlib.Path(file).is_file():
            raise FileNotFoundError(
                f"--gin_file must name a file; there is no '{file}'."
            )
    for target in targets:
        if target not in _GIN_TARGETS:
            _GIN_TARGETS[target] = gin.configurable(target)(_bound_values)
    with _fresh_gin_config():
        try:
            gin.parse_config_files_and_bindings(
                list(files), list(bindings), finalize_config=False
            )
        except (ValueError, SyntaxError) as error:
            raise ValueError(
                f"gin could not read the settings, which may bind "
                f"{' and '.join(targets)}: {error}"
            ) from None
        _check_all_effective(targets)
        return {
            target: _checked_fields(_GIN_TARGETS[target](), hparams_cls)
            for target, hparams_cls in targets.items()
        }


_GIN_TARGETS: dict[str, Callable[..., dict[str, Any]]] = {}


def _bound_values(**values: Any) -> dict[str, Any]:
    return values


@contextlib.contextmanager
def _fresh_gin_config() -> Iterator[None]:
    """Keeps one call's bindings from reaching the next: gin's store is global."""
    gin.clear_config()
    try:
        yield
    finally:
        gin.clear_config()


def _check_all_effective(targets: Mapping[str, type]) -> None:
    for other in _GIN_TARGETS.keys() - targets.keys():
        if gin.get_bindings(other):
            raise ValueError(
                f"A gin binding for {other} has no effect: this run reads "
                f"{' and '.join(targets)}. Bind those, or choose --hparams_set={other}."
            )


def _checked_fields(values: dict[str, Any], hparams_cls: type) -> dict[str, Any]:
    return {
        field: config_fields.check_field(field, value, hparams_cls)
        for field, value in values.items()
    }
