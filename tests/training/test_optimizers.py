import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
from t2t_mm import hparam
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training import optimizers
from t2t_mm.training.gradients import Gradient

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


def _make(name, variables, factors=None, **changes):
    settings = dict(
        optimizer=name,
        optimizer_adam_beta1=BETA1,
        optimizer_adam_beta2=BETA2,
        optimizer_adam_epsilon=EPSILON,
    )
    hparams = hparam.HParams(**settings | changes)
    return optimizers.make_optimizer(variables, hparams, factors)


def _adam(variables, **changes):
    return _make("adam", variables, **changes)


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


@pytest.mark.parametrize("name", ["adam", "adafactor", "momentum"])
def test_sparse_gradients_count_as_dense_ones(name):
    dense, sparse = (tf.Variable(_random((4, 3), 0), name="table") for _ in range(2))
    gradient = tf.IndexedSlices(_random((3, 3), 1), tf.constant([2, 0, 2]), [4, 3])

    optimizer = _make(name, [sparse])
    optimizer.apply([gradient], [sparse], tf.constant(RATE))
    optimizer = _make(name, [dense])
    optimizer.apply([tf.convert_to_tensor(gradient)], [dense], tf.constant(RATE))

    np.testing.assert_array_equal(sparse, dense)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("name", hparam.OPTIMIZERS)
def test_compiled_updates_equal_eager_ones(name, jit_compile):
    eager, compiled = _variables(), _variables()
    rows = tf.constant([2, 0, 2])
    slices = tf.IndexedSlices(
        tf.constant(_random((3, 4), 9)), rows, tf.constant([3, 4])
    )
    gradients = [slices, *(tf.constant(_random(v.shape, 1)) for v in eager[1:])]
    in_eager, in_graph = _make(name, eager), _make(name, compiled)
    apply = tf.function(
        lambda gradients: in_graph.apply(gradients, compiled, tf.constant(RATE)),
        jit_compile=jit_compile,
    )

    for _ in range(2):
        in_eager.apply(gradients, eager, tf.constant(RATE))
        apply(gradients)

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


OUR_NAMES = {
    "adafactor_default_rate": "adafactor",
    "adam": "lazy_adam",
    "adam_w": "adam",
    "true_adam": "adam",
}
ALLOWED = 2e-6  # absolute
_OF_HPARAMS = {field.name for field in dataclasses.fields(hparam.HParams)}


def _golden_case(number):
    """Returns what `_make` takes for a golden case, and its learning rate."""
    case = goldens.cases("optimizer_updates")[number]
    settings = {k: v for k, v in case.items() if k in _OF_HPARAMS}
    settings["optimizer"] = OUR_NAMES.get(case["optimizer"], case["optimizer"])
    rate = case["learning_rate"] or 0.01  # Adafactor's own in its first 10,000 steps
    # Tensor2Tensor does not multiply its weight decay by the learning rate.
    if "weight_decay" in case:
        settings["weight_decay"] /= rate
    del settings["learning_rate"]
    return settings, tf.constant(rate)


@pytest.mark.parametrize("number", [0, 2, 4, 6, 7, 8, 9, 10, 11, 12])
def test_updates_are_those_of_tensor2tensor(number):
    arrays = goldens.read("optimizer_updates")
    settings, rate = _golden_case(number)
    kinds = ["matrix", "tensor", "vector"]
    if "weight_decay" in settings:
        kinds.remove("vector")  # which does not decay here
    variables = [tf.Variable(arrays[f"in:{kind}0"], name=kind) for kind in kinds]
    optimizer = _make(settings.pop("optimizer"), variables, **settings)

    for step in range(4):
        gradients = [arrays[f"in:grad_{kind}"][step] for kind in kinds]
        optimizer.apply(gradients, variables, rate)
        for kind, variable in zip(kinds, variables, strict=True):
            goldens.compare(
                f"optimizer_updates[{number}]: {kind} after step {step + 1}",
                variable.numpy(),
                arrays[f"c{number}:out:{kind}_after_each_step"][step],
                ALLOWED,
                absolute=True,
            )


def test_updates_of_two_batches_each_are_those_of_tensor2tensor():
    arrays = goldens.read("optimizer_updates")
    settings, rate = _golden_case(5)
    kinds = ["matrix", "tensor", "vector"]
    variables = [tf.Variable(arrays[f"in:{kind}0"], name=kind) for kind in kinds]
    optimizer = _make("adam", variables, **settings | {"optimizer": "adam"})

    for step in (1, 3):
        both = [
            [Gradient(tf.constant(arrays[f"in:grad_{kind}"][i])) for kind in kinds]
            for i in (step - 1, step)
        ]
        mean = gradients_lib.scale(gradients_lib.add(*both), tf.constant(0.5))
        optimizer.apply(mean, variables, rate)
        for kind, variable in zip(kinds, variables, strict=True):
            goldens.compare(
                f"optimizer_updates[5]: {kind} after batch {step + 1}",
                variable.numpy(),
                arrays[f"c5:out:{kind}_after_each_step"][step],
                ALLOWED,
                absolute=True,
            )


@pytest.mark.parametrize("number", [1, 3])
def test_updates_of_rows_are_those_of_tensor2tensor(number):
    arrays = goldens.read("optimizer_updates")
    settings, rate = _golden_case(number)
    variable = tf.Variable(arrays["in:matrix0"], name="matrix")
    optimizer = _make(settings.pop("optimizer"), [variable], **settings)

    for step in range(4):
        rows = tf.constant(arrays["in:sparse_indices"][step])
        values = tf.constant(arrays["in:sparse_values"][step])
        gradient = tf.IndexedSlices(values, rows, tf.constant([4, 3]))
        optimizer.apply([gradient], [variable], rate)
        goldens.compare(
            f"optimizer_updates[{number}]: rows after step {step + 1}",
            variable.numpy(),
            arrays[f"c{number}:out:matrix_after_each_step"][step],
            ALLOWED,
            absolute=True,
        )


def test_lazy_adam_touches_the_rows_that_a_batch_names_and_no_others():
    table = tf.Variable(_random((5, 3), 0), name="table")
    adam = _make("lazy_adam", [table], weight_decay=0.3)
    everything = tf.constant(_random((5, 3), 1))
    adam.apply([everything], [table], tf.constant(RATE))
    slots = (adam.first_moments["table"], adam.second_moments["table"])
    before = [v.numpy() for v in (table, *slots)]
    gradient = tf.IndexedSlices(_random((3, 3), 2), tf.constant([3, 1, 3]), [5, 3])

    adam.apply([gradient], [table], tf.constant(RATE))

    for variable, old in zip((table, *slots), before, strict=True):
        np.testing.assert_array_equal(variable.numpy()[[0, 2, 4]], old[[0, 2, 4]])
        assert (variable.numpy()[[1, 3]] != old[[1, 3]]).all()
    assert adam.updates["table"] == 2


def test_where_every_row_is_named_lazy_adam_is_adam():
    dense, lazy = (tf.Variable(_random((4, 3), 0), name="table") for _ in range(2))
    adam = _make("adam", [dense], weight_decay=0.3)
    lazy_adam = _make("lazy_adam", [lazy], weight_decay=0.3)

    for step in range(3):
        values, rows = _random((5, 3), step), tf.constant([2, 0, 2, 1, 3])
        gradient = tf.IndexedSlices(values, rows, [4, 3])
        adam.apply([gradient], [dense], tf.constant(RATE))
        lazy_adam.apply([gradient], [lazy], tf.constant(RATE))

    np.testing.assert_allclose(lazy, dense, atol=1e-6)


@pytest.mark.parametrize("name", hparam.OPTIMIZERS)
def test_factors_of_variables_multiply_their_rate(name):
    slow, fast = _variables(), _variables()
    factors = {"matrix:0": 0.25, "scalar:0": 0.5}
    gradients = [_random(v.shape, i) for i, v in enumerate(slow)]
    start = [v.numpy() for v in slow]

    _make(name, slow, factors).apply(gradients, slow, tf.constant(RATE))
    _make(name, fast).apply(gradients, fast, tf.constant(RATE))

    for factor, old, one, other in zip(
        (0.25, 1.0, 0.5), start, slow, fast, strict=True
    ):
        np.testing.assert_allclose(one - old, factor * (other - old), atol=1e-6)


@pytest.mark.parametrize("name", hparam.OPTIMIZERS)
def test_weights_decay_apart_from_their_gradient(name):
    plain, decaying = _variables(), _variables()
    gradients = [_random(v.shape, i) for i, v in enumerate(plain)]
    start = plain[0].numpy()
    settings = dict(optimizer_adafactor_multiply_by_parameter_scale=False)

    _make(name, plain, **settings).apply(gradients, plain, tf.constant(RATE))
    _make(name, decaying, weight_decay=0.3, **settings).apply(
        gradients, decaying, tf.constant(RATE)
    )

    np.testing.assert_allclose(
        decaying[0], plain[0] - RATE * 0.3 * start, rtol=1e-5, atol=1e-6
    )
    for one, other in zip(plain[1:], decaying[1:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("kind", "output"), [("l2", "out:loss"), ("l2_mean", "out:loss_2017_form")]
)
def test_weight_decay_as_a_loss_is_that_of_tensor2tensor(kind, output):
    arrays = goldens.read("gradient_clipping_and_weight_decay")
    start = "weight_decay:in:"
    variables = [
        tf.Variable(arrays[name], name=name.removeprefix(start))
        for name in arrays
        if name.startswith(start)
    ]
    hparams = hparam.HParams(weight_decay=0.3, weight_decay_type=kind)
    zeros = [Gradient(tf.zeros_like(v)) for v in variables]

    found = optimizers.add_weight_decay(
        [None, *zeros], [variables[0], *variables], hparams
    )

    # Of half a sum of squares, the gradient times the variable is twice the loss.
    assert found[0] is None
    products = [
        np.sum(g.values.numpy() * v.numpy())
        for g, v in zip(found[1:], variables, strict=True)
    ]
    expected = arrays[f"weight_decay:{output}"]
    np.testing.assert_allclose(0.5 * np.sum(products), expected, rtol=1e-5)


def test_decoupled_decay_adds_nothing_to_gradients():
    hparams = hparam.HParams(weight_decay=0.3)
    variable = tf.Variable(_random((2, 3), 0))
    gradient = Gradient(tf.ones([2, 3]))

    assert optimizers.add_weight_decay([gradient], [variable], hparams) == [gradient]


@pytest.mark.parametrize("name", ["adam_w", "true_adam", "sgd", "multistep_adam"])
def test_names_of_tensor2tensor_say_what_to_use(name):
    with pytest.raises(ValueError, match=f"got '{name}', which is optimizer="):
        hparam.HParams(optimizer=name)


def test_every_optimizer_that_hparams_name_exists():
    assert tuple(optimizers.OPTIMIZERS) == hparam.OPTIMIZERS
