import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import routing, used_experts

POSITIONS, SIZE, WIDTH, EXPERTS = 4, 3, 5, 7
CHOSEN = np.array([[2, 5], [5, 2], [2, 0], [5, 0]], np.int32)
GATES = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]], np.float32)


@pytest.fixture(scope="module")
def experts():
    random = np.random.default_rng(2)
    gating = routing.Gating(tf.constant(CHOSEN), tf.constant(GATES), None, None)
    kernels = (
        random.normal(size=[EXPERTS, SIZE, WIDTH]),
        random.normal(size=[EXPERTS, WIDTH, SIZE]),
    )
    return used_experts.UsedExperts(
        tf.constant(random.normal(size=[POSITIONS, SIZE]), tf.float32),
        used_experts.gates_of_experts(gating, EXPERTS),
        tuple(tf.constant(kernel, tf.float32) for kernel in kernels),
        tf.nn.relu,
    )


@pytest.mark.parametrize("way", ["run", "run_all"])
@pytest.mark.parametrize("jit_compile", [None, True])
def test_both_ways_give_the_weighted_sum_of_the_chosen(experts, way, jit_compile):
    first, second = (kernel.numpy() for kernel in experts.kernels)
    expected = np.zeros([POSITIONS, SIZE])
    for row, x in enumerate(experts.rows.numpy()):
        for expert, gate in zip(CHOSEN[row], GATES[row], strict=True):
            hidden = np.maximum(x @ first[expert], 0)
            expected[row] += gate * (hidden @ second[expert])

    found = tf.function(
        getattr(experts, way), jit_compile=jit_compile, autograph=False
    )()

    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_few_are_less_work_than_tables_for_all(experts):
    # Three chosen experts on four positions, or tables for seven.
    assert experts.are_few(tf.constant(2))
    assert not experts.are_few(tf.constant(1))
