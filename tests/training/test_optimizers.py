import numpy as np
import pytest
import tensorflow as tf

import goldens
from t2t_mm import hparam
from t2t_mm.training import optimizers

BETA1, BETA2, EPSILON = 0.8, 0.95, 1e-3
RATE = 0.1
SHAPES = {"matrix": (3, 4), "vector": (5,), "scalar": ()}


def _random(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _variables():
    return [
        tf.Variable(_random(shape, seed), name=name)
        for seed, (name, shape) in enumerate(SHAPES.items())
    ]


def _adam(variables, **changes):
    settings = dict(
        optimizer_adam_beta1=BETA1,
        optimizer_adam_beta2=BETA2,
        optimizer_adam_epsilon=EPSILON,
    )
    return optimizers.Adam(variables, hparam.HParams(**settings | changes))


class _ReferenceAdam:
    """Kingma and Ba 2015, with the epsilon of the end of their section 2."""

    def __init__(self, value, weight_decay=0.0):
        self.value = value.astype(np.float64)
        self._weight_decay = weight_decay if value.ndim >= 2 else 0.0
        self._first = np.zeros(value.shape)
        self._second = np.zeros(value.shape)
        self.updates = 0

    def update(self, gradient, rate):
        self.updates += 1
        self.value = self.value - rate * self._weight_decay * self.value
        self._first = BETA1 * self._first + (1 - BETA1) * gradient
        self._second = BETA2 * self._second + (1 - BETA2) * gradient**2
        correction = np.sqrt(1 - BETA2**self.updates) / (1 - BETA1**self.updates)
        step = self._first / (np.sqrt(self._second) + EPSILON)
        self.value = self.value - rate * correction * step


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_updates_are_those_of_adam_with_a_clock_for_every_variable(weight_decay):
    variables = _variables()
    adam = _adam(variables, weight_decay=weight_decay)
    expected = [_ReferenceAdam(v.numpy(), weight_decay) for v in variables]

    for step in range(6):
        rate = RATE / (step + 1)
        # Variable i has a gradient in every (i + 1)th step.
        gradients = [
            _random(v.shape, 10 * step + i) if step % (i + 1) == 0 else None
            for i, v in enumerate(variables)
        ]
        adam.apply(gradients, variables, tf.constant(rate, tf.float32))
        for reference, gradient in zip(expected, gradients, strict=True):
            if gradient is not None:
                reference.update(gradient, rate)

    assert [reference.updates for reference in expected] == [6, 3, 2]
    for variable, reference in zip(variables, expected, strict=True):
        np.testing.assert_allclose(variable, reference.value, atol=1e-5)


def test_without_a_gradient_a_variable_and_its_slots_stay_as_they_are():
    variables = _variables()
    adam = _adam(variables, weight_decay=0.5)
    everything = [_random(v.shape, i) for i, v in enumerate(variables)]
    adam.apply(everything, variables, tf.constant(RATE))
    before = {v.name: v.numpy() for v in (variables[0], *adam.variables)}

    adam.apply([None, *everything[1:]], variables, tf.constant(RATE))

    np.testing.assert_array_equal(variables[0], before["matrix:0"])
    for slots in (adam.first_moments, adam.second_moments, adam.updates):
        assert set(slots) == set(SHAPES)
    assert adam.updates["matrix"] == 1
    assert adam.updates["vector"] == 2


def test_only_matrices_decay():
    variables = _variables()
    before = [v.numpy() for v in variables]
    adam = _adam(variables, weight_decay=0.3)

    adam.apply([tf.zeros_like(v) for v in variables], variables, tf.constant(RATE))

    np.testing.assert_allclose(variables[0], before[0] * (1 - RATE * 0.3), rtol=1e-6)
    np.testing.assert_array_equal(variables[1], before[1])
    np.testing.assert_array_equal(variables[2], before[2])


def test_slots_are_neither_trained_nor_shared():
    variables = _variables()

    adam = _adam(variables)

    assert adam.trainable_variables == ()
    assert len(adam.variables) == 3 * len(variables)


def test_sparse_gradients_count_as_dense_ones():
    dense, sparse = (tf.Variable(_random((4, 3), 0), name="table") for _ in range(2))
    gradient = tf.IndexedSlices(_random((3, 3), 1), tf.constant([2, 0, 2]), [4, 3])

    _adam([sparse]).apply([gradient], [sparse], tf.constant(RATE))
    _adam([dense]).apply([tf.convert_to_tensor(gradient)], [dense], tf.constant(RATE))

    np.testing.assert_array_equal(sparse, dense)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_updates_equal_eager_ones(jit_compile):
    eager, compiled = _variables(), _variables()
    gradients = [_random(v.shape, i) for i, v in enumerate(eager)]
    eager_adam, compiled_adam = _adam(eager), _adam(compiled)
    apply = tf.function(
        lambda *gradients: compiled_adam.apply(gradients, compiled, tf.constant(RATE)),
        jit_compile=jit_compile,
    )

    for _ in range(2):
        eager_adam.apply(gradients, eager, tf.constant(RATE))
        apply(*map(tf.constant, gradients))

    for one, other in zip(eager, compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_saved_slots_come_back(tmp_path):
    variables = _variables()
    adam = _adam(variables)
    gradients = [_random(v.shape, i) for i, v in enumerate(variables)]
    adam.apply(gradients, variables, tf.constant(RATE))
    path = tf.train.Checkpoint(optimizer=adam).save(str(tmp_path / "ckpt"))

    restored = _adam(_variables())
    tf.train.Checkpoint(optimizer=restored).restore(path).assert_consumed()

    for name in SHAPES:
        for slots in ("first_moments", "second_moments", "updates"):
            np.testing.assert_array_equal(
                getattr(restored, slots)[name], getattr(adam, slots)[name]
            )


# Tensor2Tensor does not multiply its weight decay by the learning rate: 0.02 there is
# 0.05 * 0.4 here.
@pytest.mark.parametrize(("case", "rate", "decay"), [(0, 0.1, 0.0), (4, 0.05, 0.4)])
def test_updates_are_those_of_tensor2tensor(case, rate, decay):
    arrays = goldens.read("optimizer_updates")
    kinds = ["matrix", "tensor"] if decay else ["matrix", "tensor", "vector"]
    variables = [tf.Variable(arrays[f"in:{kind}0"], name=kind) for kind in kinds]
    adam = _adam(
        variables,
        optimizer_adam_beta1=0.85,
        optimizer_adam_beta2=0.997,
        optimizer_adam_epsilon=1e-6,
        weight_decay=decay,
    )

    for step in range(4):
        gradients = [arrays[f"in:grad_{kind}"][step] for kind in kinds]
        adam.apply(gradients, variables, tf.constant(rate))
        for kind, variable in zip(kinds, variables, strict=True):
            np.testing.assert_allclose(
                variable, arrays[f"c{case}:out:{kind}_after_each_step"][step], atol=2e-5
            )


def test_gradients_are_scaled_to_the_largest_norm():
    gradients = [tf.constant([3.0, 0.0]), None, tf.constant([[0.0, 4.0]])]

    clipped, norm = optimizers.clip_by_global_norm(gradients, 2.0)

    assert norm == 5.0
    np.testing.assert_allclose(clipped[0], [1.2, 0.0], rtol=1e-6)
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[2], [[0.0, 1.6]], rtol=1e-6)


@pytest.mark.parametrize("largest", [0.0, 5.0, 7.0])
def test_gradients_below_the_largest_norm_are_left_alone(largest):
    gradients = [tf.constant([3.0, 0.0]), None, tf.constant([[0.0, 4.0]])]

    clipped, norm = optimizers.clip_by_global_norm(gradients, largest)

    assert norm == 5.0
    np.testing.assert_array_equal(clipped[0], [3.0, 0.0])
    assert clipped[1] is None


@pytest.mark.parametrize(("case", "largest"), [(0, 2.0), (1, 2.0), (2, 0.5)])
def test_clipping_is_that_of_tensor2tensor(case, largest):
    arrays = goldens.read("gradient_clipping_and_weight_decay")
    gradients = [tf.constant(arrays[f"c{case}:in:grad{i}"]) for i in range(3)]

    clipped, norm = optimizers.clip_by_global_norm(gradients, largest)

    np.testing.assert_allclose(norm, arrays[f"c{case}:out:global_norm"], rtol=1e-5)
    for i, gradient in enumerate(clipped):
        np.testing.assert_allclose(
            gradient, arrays[f"c{case}:out:clipped{i}"], rtol=1e-5
        )
