import numpy as np
import tensorflow as tf

from t2t_mm.layers import casting

WEIGHTS = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def _types_in_body(*, is_before_loop):
    """Returns the number of `Cast` in the body of a loop, and what the loop gives."""
    variable = tf.Variable(WEIGHTS)

    @tf.function(autograph=False)
    def run(x):
        def step(turn, x):
            # Twice, as by two layers.
            kernels = [casting.cast_weights(variable, x.dtype) for _ in range(2)]
            return turn + 1, x @ kernels[0] + x @ kernels[1]

        def loop():
            return tf.while_loop(lambda turn, _: turn < 2, step, (0, x))[1]

        if not is_before_loop:
            return loop()
        with casting.before_loops():
            return loop()

    x = tf.ones([1, 2], tf.bfloat16)
    graph = run.get_concrete_function(x).graph
    (loop,) = [op for op in graph.get_operations() if op.type.endswith("While")]
    library = graph.as_graph_def().library.function
    (body,) = [f for f in library if f.signature.name == loop.get_attr("body").name]
    return sum(node.op == "Cast" for node in body.node_def), run(x)


def test_weights_of_a_loop_are_converted_once_before_it():
    in_body, result = _types_in_body(is_before_loop=True)

    assert in_body == 0
    once = np.ones([1, 2]) @ (2 * WEIGHTS)
    np.testing.assert_array_equal(tf.cast(result, tf.float32), once @ (2 * WEIGHTS))


def test_elsewhere_weights_are_converted_where_they_are_used():
    in_body, _ = _types_in_body(is_before_loop=False)

    assert in_body == 2


def test_weights_of_the_right_type_stay_as_they_are():
    variable = tf.Variable(WEIGHTS)

    with casting.before_loops():
        assert casting.cast_before_loop(variable, tf.float32) is variable
        np.testing.assert_array_equal(
            casting.cast_weights(variable, tf.float32), WEIGHTS
        )


def test_what_is_no_variable_is_converted_where_it_is():
    given = tf.constant(WEIGHTS)

    with casting.before_loops():
        result = casting.cast_weights(given, tf.bfloat16)

    assert result.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(result, tf.float32), WEIGHTS)
