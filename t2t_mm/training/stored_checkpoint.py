"""What a checkpoint holds, by the names of variables instead of places in a program."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from t2t_mm.layers import initializers

_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"


def inner_name(variable: tf.Variable) -> str:
    """Returns a variable's name without the model's, such as "encoder_0/scale"."""
    return _without_model(variable.name.removesuffix(":0"), "/")


def inner_key(variable: tf.Variable) -> str:
    """Returns a variable's key without the model's, such as "encoder_0.scale"."""
    return initializers.key_of(inner_name(variable))


def _without_model(name: str, separator: str) -> str:
    return name.partition(separator)[2] or name


class StoredCheckpoint:
    """Reads a checkpoint of a run, one variable at a time.

    All names are without that of the model, so models of two names can be compared.

    Attributes:
      path: prefix of its files.
      step: number of updates of the run.
      problems: whose counters it has.
      weights: places of the model's variables in the files, by `inner_name`.
      averages: places of the averages of weights, by `inner_key`.
      slots: places of what the optimizer keeps, by `inner_key` and the name of the
        slot, as `Optimizer.slots` has them.
    """

    def __init__(self, path: str) -> None:
        """Reads the names.

        Args:
          path: prefix of the checkpoint's files.

        Raises:
          FileNotFoundError: if there is no such checkpoint.
          ValueError: if it is not one of a run.
        """
        try:
            self._reader = tf.train.load_checkpoint(path)
        except (ValueError, tf.errors.OpError) as error:
            raise FileNotFoundError(
                f"There is no checkpoint '{path}', or it cannot be read: {error}."
            ) from None
        self.path = path
        self._shapes = self._reader.get_variable_to_shape_map()
        self._nodes = self._read_nodes()
        parts = _children(self._nodes[0])
        if not {"model", "step"} <= parts.keys():
            raise ValueError(
                f"'{path}' must be a checkpoint of a training run; it has no model."
            )
        self.step = int(self.read(self._place(parts["step"])))
        self.problems = list(_children(self._nodes[parts["counts"]]))
        self.weights = self._weights(parts["model"])
        self.averages: dict[str, str] = {}
        self.slots: dict[str, dict[str, str]] = {}
        if "average" in parts:
            # ("averages", key)
            self.averages = {
                _without_model(names[1], "."): place
                for names, place in self._walk(parts["average"])
            }
        if "optimizer" in parts:
            # ("first_moments", key) or ("moments", key, "rows")
            for (table, key, *rest), place in self._walk(parts["optimizer"]):
                of_variable = self.slots.setdefault(_without_model(key, "."), {})
                of_variable["/".join([table, *rest])] = place

    def _read_nodes(self) -> Sequence[trackable_object_graph_pb2.TrackableObjectGraph]:
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        if _GRAPH_KEY in self._shapes:
            graph.ParseFromString(self._reader.get_tensor(_GRAPH_KEY))
        return graph.nodes or [graph.nodes.add()]

    def _place(self, node: int) -> str:
        """Returns where the variable of a node is; empty if the node is none."""
        attributes = self._nodes[node].attributes
        return attributes[0].checkpoint_key if attributes else ""

    def _weights(self, model: int) -> dict[str, str]:
        """Returns the places of the variables that the model's node leads to."""
        weights, seen, waiting = {}, {model}, [model]
        while waiting:
            node = self._nodes[waiting.pop()]
            for attribute in node.attributes:
                name = _without_model(attribute.full_name, "/")
                weights[name] = attribute.checkpoint_key
            new = set(_children(node).values()) - seen
            seen |= new
            waiting += sorted(new)
        return weights

    def _walk(
        self, node: int, names: tuple[str, ...] = ()
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yields the variables in dicts of dicts, with the keys that lead to them."""
        if place := self._place(node):
            yield names, place
        for name, child in _children(self._nodes[node]).items():
            yield from self._walk(child, (*names, name))

    def shape(self, place: str) -> tuple[int, ...]:
        """Returns the shape of the variable at a place in the files."""
        return tuple(self._shapes[place])

    def read(self, place: str) -> np.ndarray:
        """Returns the value of the variable at a place in the files."""
        return self._reader.get_tensor(place)


def _children(
    node: trackable_object_graph_pb2.TrackableObjectGraph.TrackableObject,
) -> Mapping[str, int]:
    return {child.local_name: child.node_id for child in node.children}
