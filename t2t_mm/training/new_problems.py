"""Problems that a run trains and its checkpoint does not know yet."""

from collections.abc import Collection

from t2t_mm import model as model_lib
from t2t_mm import registry

_COUNTERS = ("counts", "dev_losses")


def variables_that_begin(
    found: Collection[str], expected: Collection[str], model: model_lib.Model
) -> set[str]:
    """Returns the variables that a checkpoint lacks because problems are new.

    These are counters of problems of which it has none, and what belongs to nets of the
    kinds of data that these problems have.

    Args:
      found: names of the variables in the checkpoint.
      expected: names of those of the run.
      model: the run's.
    """
    new = _problems(expected) - _problems(found)
    if not new:
        return set()
    specs = [spec for problem in new for spec in model.problems[problem].values()]
    classes = [registry.MODALITIES.get(spec.modality) for spec in specs]
    keys = {cls.key(spec) for cls, spec in zip(classes, specs, strict=True)}
    scopes = {cls.scope(spec) for cls, spec in zip(classes, specs, strict=True)}

    def begins(name: str) -> bool:
        # As TensorFlow writes a dot in a part of a name.
        part, *rest = name.replace("..", ".").split("/")
        if part in _COUNTERS:
            return rest[0] in new
        if part == "model":
            return rest[0] == "modalities" and rest[1] in keys
        # What is kept by key of the variable: "transformer.symbol_bytes_258.input".
        return any(key.partition(".")[2].partition(".")[0] in scopes for key in rest)

    return {name for name in expected if name not in found and begins(name)}


def _problems(names: Collection[str]) -> set[str]:
    """Returns the problems of which there are counters."""
    return {name.split("/")[1] for name in names if name.startswith("counts/")}
