"""What sets a checkpoint apart from the variables that it is to be read into."""

import collections
from collections.abc import Mapping

import tensorflow as tf

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_MOST_ROWS = 30

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(checkpoint: tf.train.Checkpoint) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all variables of an object, by name in a checkpoint."""
    view = tf.train.TrackableView(checkpoint)
    shapes: dict[str, tuple[int, ...]] = {}
    seen = {id(checkpoint)}
    # Breadth first, as TensorFlow goes: of several names the shortest counts.
    queue: collections.deque = collections.deque([((), checkpoint)])
    while queue:
        path, node = queue.popleft()
        if isinstance(node, tf.Variable):
            shapes["/".join(path)] = tuple(node.shape)
        for name, child in view.children(node).items():
            if id(child) not in seen:
                seen.add(id(child))
                queue.append(((*path, _escape(name)), child))
    return shapes


def _escape(name: str) -> str:
    """Returns a part of a name as TensorFlow writes it."""
    return name.replace(".", "..").replace("/", ".S")


def shapes_in(path: str) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of all variables in the checkpoint with the prefix `path`.

    Raises:
      tf.errors.OpError: if there is none, or it is damaged.
    """
    shapes = tf.train.load_checkpoint(path).get_variable_to_shape_map()
    return {
        name.removesuffix(_VALUE): tuple(shape)
        for name, shape in shapes.items()
        if name != _GRAPH
    }


def check_same(path: str, found: Shapes, expected: Shapes) -> None:
    """Checks that a checkpoint has exactly the variables of a run.

    Args:
      path: prefix of the checkpoint.
      found: shapes of its variables, by name.
      expected: shapes of those of the run.

    Raises:
      ValueError: with a table of the differences.
    """
    names = sorted(
        name
        for name in found.keys() | expected.keys()
        if found.get(name) != expected.get(name)
    )
    if not names:
        return
    rows = [("variable", "checkpoint", "run")]
    rows += [(n, _text(found.get(n)), _text(expected.get(n))) for n in names]
    widths = [max(map(len, column)) for column in zip(*rows[:_MOST_ROWS], strict=True)]
    lines = [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows[:_MOST_ROWS]
    ]
    if len(rows) > _MOST_ROWS:
        lines.append(f"... and {len(rows) - _MOST_ROWS} more")
    raise ValueError(
        f"'{path}' does not hold the variables of this run; {len(names)} of "
        f"{len(expected)} differ:\n  "
        + "\n  ".join(line.rstrip() for line in lines)
        + f"\n{_advice(names)}"
    )


def _text(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else f"[{', '.join(map(str, shape))}]"


def _advice(names: list[str]) -> str:
    if any(name.startswith("model/") for name in names):
        return (
            "The model is another one than the checkpoint is of: repeat the settings, "
            "registrations and version of t2t_mm of the first run, or choose another "
            "--output_dir."
        )
    return (
        "The model is the same, what the trainer keeps beside it is not: the "
        "checkpoint was written by another version of t2t_mm, which can go on with it. "
        "The decoder reads it all the same."
    )
