"""How much memory the activations of a training step need, without running one.

Forward and backward pass of a problem are traced once, for any shape. For a shape of
batches, TensorFlow infers the shapes of all tensors. Then the operations are gone
through in the order in which they were traced: a result takes memory from its operation
on, until the last operation that reads it. The most that is held at a time is the
answer. Results that share the memory of their input, such as reshaped ones, take none.

What it leaves out: scratch memory inside of operations, and operations that run early
because another core is idle.
"""

from collections.abc import Mapping, Sequence

import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm.data.bucketing import Bucket
from t2t_mm.layers import compilation, randomness
from t2t_mm.training import batch_shapes

# Results are (part of) the input itself.
_VIEWS = frozenset(
    "ExpandDims Identity IdentityN PreventGradient Reshape Snapshot Squeeze "
    "StopGradient".split()
)
# Results are the input itself if nothing is cut off or put on.
_VIEWS_OF_THE_WHOLE = frozenset("BroadcastTo Pad PadV2 Slice".split())
# They may write over an input of the same size that nobody else reads.
_IN_PLACE = frozenset(
    "Add AddN AddV2 BiasAdd Div Exp GreaterEqual LeakyRelu Log Maximum Minimum Mul Neg "
    "RealDiv Relu ReluGrad Rsqrt RsqrtGrad SelectV2 Sigmoid SigmoidGrad Softmax Sqrt "
    "SqrtGrad Square Sub Tanh TanhGrad TensorScatterAdd TensorScatterSub".split()
)
_FREE = frozenset(("Const", "Placeholder"))  # constants are small, variables counted


class StepGraph:
    """The forward and backward pass of one problem, or of others with its graph."""

    def __init__(
        self, model: model_lib.Model, problem: str, variables: Sequence[tf.Variable]
    ) -> None:
        """Traces the passes.

        Args:
          model: the model.
          problem: name of the problem.
          variables: those that are trained.
        """

        def gradients(
            features: Mapping[str, tf.Tensor], seed: tf.Tensor
        ) -> list[tf.Tensor]:
            with compilation.tracing_for_sizes(), tf.GradientTape() as tape:
                rng = randomness.RandomStream(seed)
                output = model(features, problem=problem, rng=rng)
                loss = output.loss.total / output.loss.weight
                loss += sum(output.extra_losses.values(), tf.constant(0.0))
            found = tape.gradient(loss, variables)
            return [tf.convert_to_tensor(g) for g in found if g is not None]

        self._signature = model.signature(problem)
        program = tf.function(gradients).get_concrete_function(
            self._signature, tf.TensorSpec([2], tf.int32)
        )
        self._definition = program.graph.as_graph_def()
        self._results = {tensor.name for tensor in program.graph.outputs}
        _replace_variables(self._definition, program.graph, model.variables)

    def peak_bytes(self, bucket: Bucket) -> int:
        """Returns the most that activations of a batch hold at a time.

        The gradients of variables are not among them.
        """
        graph = tf.Graph()
        with graph.as_default():
            tf.graph_util.import_graph_def(self._with_shapes(bucket), name="")
        return _peak_bytes(graph.get_operations(), self._results)

    def _with_shapes(self, bucket: Bucket) -> tf.compat.v1.GraphDef:
        definition = type(self._definition)()
        definition.CopyFrom(self._definition)
        shapes = batch_shapes.in_bucket(self._signature, bucket)
        for node in definition.node:
            if node.name in shapes:
                node.attr["shape"].shape.CopyFrom(shapes[node.name].as_proto())
        return definition


def _replace_variables(
    definition: tf.compat.v1.GraphDef,
    graph: tf.Graph,
    variables: Sequence[tf.Variable],
) -> None:
    """Makes values of the handles of variables: the shapes of handles get lost."""
    by_handle = {id(variable.handle): variable for variable in variables}
    held = {
        inner.op.name: by_handle[id(outer)]
        for outer, inner in graph.captures
        if id(outer) in by_handle
    }
    for node in definition.node:
        if node.name in held:
            variable = held[node.name]
            node.attr["dtype"].type = variable.dtype.as_datatype_enum
            node.attr["shape"].shape.CopyFrom(variable.shape.as_proto())
        elif node.op == "ReadVariableOp":
            _change_node(node, "Identity", "T")
        elif node.op == "ResourceGather":
            _change_node(node, "Gather", "Tparams")
        elif node.op.startswith("Assign") and node.op.endswith("VariableOp"):
            node.op = "NoOp"
            del node.input[:]
            node.attr.clear()
        for name in [name for name in node.attr if name.startswith("_")]:
            del node.attr[name]


def _change_node(node: tf.compat.v1.NodeDef, op: str, kind: str) -> None:
    """Makes an operation on a handle one on values; `kind` names their dtype."""
    dtype = node.attr["dtype"].type
    kept = {name: node.attr[name] for name in ("Tindices",) if name in node.attr}
    node.attr.clear()
    for name, value in kept.items():
        node.attr[name].CopyFrom(value)
    node.op = op
    node.attr[kind].type = dtype


def _peak_bytes(operations: Sequence[tf.Operation], results: set[str]) -> int:
    """Returns the most that tensors hold at a time, without those in `results`."""
    owner = _owners(operations)
    last_read: dict[str, int] = {}
    for position, operation in enumerate(operations):
        for tensor in operation.inputs:
            last_read[owner[tensor.name]] = position
    kept = {owner[name] for name in results}
    sizes: dict[str, int] = {}
    held = peak = 0
    for position, operation in enumerate(operations):
        dying = {
            name
            for name in (owner[tensor.name] for tensor in operation.inputs)
            if last_read[name] == position and sizes.get(name)
        }
        made = {
            tensor.name: num_bytes(tensor.shape, tensor.dtype)
            for tensor in operation.outputs
            if owner[tensor.name] == tensor.name and tensor.name not in kept
        }
        if operation.type in _IN_PLACE:
            for name in [n for n in dying if sizes[n] in made.values()][:1]:
                dying.discard(name)
                held -= sizes.pop(name)
        if operation.type not in _FREE:
            sizes |= made
            held += sum(made.values())
        peak = max(peak, held)
        unread = {name for name in made if name not in last_read and name in sizes}
        held -= sum(sizes.pop(name) for name in dying | unread)
    return peak


def _owners(operations: Sequence[tf.Operation]) -> dict[str, str]:
    """Returns whose memory each tensor is in, by name."""
    owner: dict[str, str] = {}
    for operation in operations:
        for number, tensor in enumerate(operation.outputs):
            source = operation.inputs[number] if _is_view(operation) else tensor
            owner[tensor.name] = owner.get(source.name, tensor.name)
    return owner


def _is_view(operation: tf.Operation) -> bool:
    """Returns whether an operation's results are in the memory of its inputs."""
    if operation.type not in _VIEWS_OF_THE_WHOLE:
        return operation.type in _VIEWS
    shapes = operation.inputs[0].shape, operation.outputs[0].shape
    return shapes[0].is_fully_defined() and shapes[0] == shapes[1]


def num_bytes(shape: tf.TensorShape, dtype: tf.DType) -> int:
    """Returns the size of a tensor; 0 if its shape is not known."""
    if not shape.is_fully_defined():
        return 0
    return int(shape.num_elements()) * int(dtype.size)
