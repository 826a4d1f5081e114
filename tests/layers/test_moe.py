import math

import numpy as np
import pytest
import tensorflow as tf

import goldens
import numpy_reference as reference
import original_names
import tiny_models
from t2t_mm.layers import compilation, moe, randomness

HIDDEN_SIZE, FILTER_SIZE, NUM_EXPERTS, K = 4, 7, 5, 2
SPACE_ID = tf.constant(3)
MASK = np.arange(6) < np.array([[6], [3], [0]])
SEED = (1, 2)


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _stream(seed=SEED):
    return randomness.RandomStream(tf.constant(seed, tf.int32))


def _layer(*, k=K, num_experts=NUM_EXPERTS, capacity_factor=2.0, **settings):
    layer = moe.MixtureOfExperts(
        HIDDEN_SIZE,
        FILTER_SIZE,
        num_experts=num_experts,
        k=k,
        capacity_factor=capacity_factor,
        name="experts",
        **settings,
    )
    return tiny_models.perturb(layer, deviation=0.7)


def _all_to_one(layer, expert):
    """Sends every position first to `expert`, whatever its (positive) values."""
    gate = np.zeros(layer.gate.kernel.shape, np.float32)
    gate[:, expert] = 1000.0
    layer.gate.kernel.assign(gate)
    layer.gate.noise.assign(np.zeros_like(gate))
    return layer


def _inputs(seed=0):
    return _random(*MASK.shape, HIDDEN_SIZE, seed=seed)


# The layer as a whole.


@pytest.mark.parametrize("k", [1, 2, 5])
def test_positions_get_the_gate_weighted_sum_of_their_best_experts(k):
    layer, x = _layer(k=k), _inputs()

    output = layer(tf.constant(x), tf.constant(MASK), SPACE_ID)

    expected = reference.experts_of(layer, x, MASK, k)
    np.testing.assert_allclose(output.values, expected, atol=1e-5)


def test_with_all_experts_chosen_the_layer_is_dense():
    layer, x = _layer(k=NUM_EXPERTS), _inputs()

    output = layer(tf.constant(x), tf.constant(MASK), SPACE_ID)

    gates = reference.softmax(x @ reference.array(layer.gate.kernel))
    hidden = reference.relu(np.einsum("bth,ehf->btef", x, layer.kernel_0))
    answers = np.einsum("btef,efh->bteh", hidden, reference.array(layer.kernel_1))
    dense = np.einsum("bte,bteh->bth", gates, answers) * MASK[..., None]
    np.testing.assert_allclose(output.values, dense, atol=1e-5)


def test_the_order_of_experts_does_not_matter():
    layer, x = _layer(), tf.constant(_inputs())
    before = layer(x, tf.constant(MASK), SPACE_ID)
    order = np.array([3, 0, 4, 1, 2])
    for variable, axis in (
        (layer.gate.kernel, 1),
        (layer.gate.noise, 1),
        (layer.kernel_0, 0),
        (layer.kernel_1, 0),
    ):
        variable.assign(tf.gather(variable, order, axis=axis))

    after = layer(x, tf.constant(MASK), SPACE_ID)

    np.testing.assert_allclose(after.values, before.values, atol=1e-5)
    np.testing.assert_allclose(after.balance_loss, before.balance_loss, rtol=1e-5)
    np.testing.assert_array_equal(after.stats.load, before.stats.load.numpy()[order])


def test_balance_loss_is_the_variation_of_importance_and_load():
    layer, x = _layer(), _inputs()

    output = layer(tf.constant(x), tf.constant(MASK), SPACE_ID)

    importance, load = np.zeros(NUM_EXPERTS), np.zeros(NUM_EXPERTS)
    for row in x[MASK]:
        logits = row @ reference.array(layer.gate.kernel)
        chosen = np.argsort(-logits)[:K]
        importance[chosen] += reference.softmax(logits[chosen])
        load[chosen] += 1
    expected = sum(v.var() / v.mean() ** 2 for v in (importance, load))
    np.testing.assert_allclose(output.balance_loss, expected, rtol=1e-4)
    np.testing.assert_array_equal(output.stats.load, load)


@pytest.mark.parametrize("training", [True, False])
def test_padding_reaches_no_expert_no_loss_and_no_load(training):
    layer = _layer()
    x, other = _inputs(), _inputs(seed=1)
    other[MASK] = x[MASK]
    other[~MASK] *= 100.0

    first, second = (
        layer(
            tf.constant(z), tf.constant(MASK), SPACE_ID, _stream() if training else None
        )
        for z in (x, other)
    )

    np.testing.assert_allclose(first.values, second.values, atol=1e-6)
    np.testing.assert_array_equal(first.balance_loss, second.balance_loss)
    np.testing.assert_array_equal(first.stats.load, second.stats.load)
    assert tf.reduce_sum(first.stats.load) == K * MASK.sum()
    np.testing.assert_array_equal(first.values.numpy()[~MASK], 0.0)


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_of_padding_is_finite(training):
    layer, x = _layer(), tf.constant(_inputs())
    mask = tf.zeros(MASK.shape, tf.bool)

    with tf.GradientTape() as tape:
        output = layer(x, mask, SPACE_ID, _stream() if training else None)
        loss = tf.reduce_sum(output.values) + output.balance_loss
    gradients = tape.gradient(
        loss, layer.trainable_variables, unconnected_gradients="zero"
    )

    assert output.balance_loss == 0.0
    np.testing.assert_array_equal(output.values, np.zeros(x.shape))
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_gradients_reach_exactly_the_chosen_experts():
    layer, x = _layer(num_experts=11), _random(1, 3, HIDDEN_SIZE)
    mask = tf.constant([[True, True, False]])

    with tf.GradientTape() as tape:
        output = layer(tf.constant(x), mask, SPACE_ID)
        loss = tf.reduce_sum(output.values * _random(1, 3, HIDDEN_SIZE, seed=1))
    gradients = tape.gradient(loss, [layer.kernel_0, layer.kernel_1])

    logits = x[0, :2] @ layer.gate.kernel.numpy()
    chosen = np.unique(np.argsort(-logits)[:, :K])
    assert 2 <= len(chosen) <= 4
    for gradient in gradients:
        dense = np.abs(tf.convert_to_tensor(gradient))
        reached = np.flatnonzero(dense.max((1, 2)))
        np.testing.assert_array_equal(reached, chosen)


@pytest.mark.parametrize("form", ["default", "compiled"])
def test_gradients_are_those_of_a_dense_formulation(form):
    layer, x = _layer(), tf.constant(_inputs())
    upstream = _random(*MASK.shape, HIDDEN_SIZE, seed=1)
    variables = [layer.gate.kernel, layer.kernel_0, layer.kernel_1]

    def dense(x):
        logits = tf.einsum("bth,he->bte", x, layer.gate.kernel)
        threshold = tf.sort(logits, direction="DESCENDING")[..., K - 1 : K]
        gates = tf.nn.softmax(tf.where(logits >= threshold, logits, -1e9))
        gates *= tf.cast(MASK, tf.float32)[..., None]
        hidden = tf.nn.relu(tf.einsum("bth,ehf->btef", x, layer.kernel_0))
        answers = tf.einsum("btef,efh->bteh", hidden, layer.kernel_1)
        return tf.einsum("bte,bteh->bth", gates, answers)

    def sparse(x):
        with compilation.tracing_for_xla(form == "compiled"):
            return layer(x, tf.constant(MASK), SPACE_ID).values

    def gradients(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return y, *tape.gradient(y, [x, *variables], output_gradients=upstream)

    expected = gradients(dense, x)
    compute = tf.function(gradients, jit_compile=form == "compiled")
    found = compute(sparse, x) if form == "compiled" else gradients(sparse, x)

    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5)


def test_every_variable_learns_from_task_and_balance():
    layer, x = _layer(), tf.constant(_inputs())

    with tf.GradientTape(persistent=True) as tape:
        output = layer(x, tf.constant(MASK), SPACE_ID, _stream())
        task = tf.reduce_sum(output.values * _random(*MASK.shape, HIDDEN_SIZE, seed=1))
    of_task = tape.gradient(task, layer.trainable_variables)
    of_balance = tape.gradient(
        output.balance_loss, [layer.gate.kernel, layer.gate.noise]
    )

    for gradient in [*of_task, *of_balance]:
        assert np.abs(gradient).max() > 0


def test_untrained_gates_choose_at_random_and_are_balanced():
    layer = moe.MixtureOfExperts(
        HIDDEN_SIZE, 3, num_experts=5, k=2, capacity_factor=2.0, name="experts"
    )
    x = tf.constant(_random(40, 50, HIDDEN_SIZE))

    output = layer(x, tf.ones([40, 50], tf.bool), SPACE_ID, _stream())

    np.testing.assert_allclose(output.stats.load, [800.0] * 5, rtol=0.1)
    assert output.balance_loss < 0.01


def test_noise_repeats_for_the_same_seed_and_differs_for_another():
    layer, x, mask = _layer(), tf.constant(_inputs()), tf.constant(MASK)

    first, again, other = (
        layer(x, mask, SPACE_ID, _stream(seed)).values.numpy()
        for seed in (SEED, SEED, (1, 3))
    )

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_k_must_be_between_one_and_the_number_of_experts():
    for k in (0, 6):
        with pytest.raises(ValueError, match=rf"\({k}\) must be between 1 .* \(5\)"):
            _layer(k=k)


def test_bfloat16_stays_near_float32():
    layer, x, mask = _layer(), _inputs(), tf.constant(MASK)
    x = tf.constant(x, tf.bfloat16)

    low, high = layer(x, mask, SPACE_ID), layer(tf.cast(x, tf.float32), mask, SPACE_ID)

    assert low.values.dtype == tf.bfloat16
    assert low.balance_loss.dtype == tf.float32
    np.testing.assert_allclose(tf.cast(low.values, tf.float32), high.values, atol=0.05)
    np.testing.assert_array_equal(low.stats.load, high.stats.load)


# Capacity. 24 positions, 1 of 3 experts each: perfect balance gives 8 rows to each.

CROWD = np.abs(np.random.default_rng(3).normal(size=(2, 12, HIDDEN_SIZE)))
CROWD_MASK = np.ones([2, 12], bool)


def _crowded_layer():
    return _all_to_one(_layer(k=1, num_experts=3, capacity_factor=1.0), 1)


def test_in_training_the_positions_beyond_the_capacity_are_dropped():
    layer = _crowded_layer()

    output = layer(
        tf.constant(CROWD, tf.float32), tf.constant(CROWD_MASK), SPACE_ID, _stream()
    )

    first_eight = np.arange(24).reshape(2, 12) < 8
    expected = reference.experts_of(layer, CROWD, first_eight, 1)
    np.testing.assert_allclose(output.values, expected, atol=1e-4)
    np.testing.assert_array_equal(output.stats.load, [0, 24, 0])


def test_padding_takes_no_row_from_those_who_need_it():
    layer = _crowded_layer()
    mask = np.arange(12) < np.array([[5], [12]])

    output = layer(
        tf.constant(CROWD, tf.float32), tf.constant(mask), SPACE_ID, _stream()
    )

    kept = np.arange(12) < np.array([[5], [3]])
    expected = reference.experts_of(layer, CROWD, kept, 1)
    np.testing.assert_allclose(output.values, expected, atol=1e-4)


def test_padding_gives_no_expert_more_rows():
    layer = _crowded_layer()
    padded = np.pad(CROWD, [(0, 2), (0, 10), (0, 0)])
    mask = np.pad(CROWD_MASK, [(0, 2), (0, 10)])

    output = layer(
        tf.constant(padded, tf.float32), tf.constant(mask), SPACE_ID, _stream()
    )

    assert output.stats.dropped == 16.0
    first_eight = np.arange(24).reshape(2, 12) < 8
    expected = reference.experts_of(layer, CROWD, first_eight, 1)
    np.testing.assert_allclose(output.values[:2, :12], expected, atol=1e-4)


def test_evaluation_drops_nothing():
    layer = _crowded_layer()

    output = layer(tf.constant(CROWD, tf.float32), tf.constant(CROWD_MASK), SPACE_ID)

    expected = reference.experts_of(layer, CROWD, CROWD_MASK, 1)
    np.testing.assert_allclose(output.values, expected, atol=1e-4)


def test_evaluation_compiled_by_xla_drops_nothing():
    layer = _crowded_layer()

    @tf.function(jit_compile=True)
    def evaluate(x):
        with compilation.tracing_for_xla():
            return layer(x, tf.constant(CROWD_MASK), SPACE_ID).values

    values = evaluate(tf.constant(CROWD, tf.float32))

    expected = reference.experts_of(layer, CROWD, CROWD_MASK, 1)
    np.testing.assert_allclose(values, expected, atol=1e-4)


def test_training_compiled_by_xla_drops_and_moves_the_bias_as_eager():
    x, mask = tf.constant(CROWD, tf.float32), tf.constant(CROWD_MASK)
    weights = tf.constant(_random(2, 12, HIDDEN_SIZE, seed=1))
    settings = dict(router="softmax", balance="bias", bias_rate=0.5)

    def train(layer):
        with tf.GradientTape() as tape:
            output = layer(x, mask, SPACE_ID, _stream())
            loss = tf.reduce_sum(output.values * weights)
        gradients = tape.gradient(loss, layer.trainable_variables)
        return output.values, output.stats.dropped, gradients

    def compiled(layer):
        with compilation.tracing_for_xla():
            return train(layer)

    layer, other = (
        _layer(k=2, num_experts=3, capacity_factor=1.0, **settings) for _ in range(2)
    )
    values, dropped, gradients = train(layer)
    found = tf.function(compiled, jit_compile=True)(other)

    assert 0 < dropped < 24  # perfect balance gives 16 rows to each expert
    np.testing.assert_allclose(found[0], values, atol=1e-4)
    assert found[1] == dropped
    for gradient, expected in zip(found[2], gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, atol=1e-4)
    np.testing.assert_array_equal(other.gate.bias, layer.gate.bias)


@pytest.mark.parametrize("position", [1, 4, 11])
def test_dropping_does_not_look_into_the_future(position):
    layer = _layer(k=2, num_experts=3, capacity_factor=0.7)
    x = _random(1, 30, HIDDEN_SIZE)
    changed = x.copy()
    changed[:, position:] = _random(1, 30 - position, HIDDEN_SIZE, seed=1)
    mask = tf.ones([1, 30], tf.bool)

    y, y_changed = (
        layer(tf.constant(z), mask, SPACE_ID, _stream()).values.numpy()
        for z in (x, changed)
    )

    assert (y == 0).all(-1).any()  # some are dropped
    np.testing.assert_allclose(y[:, :position], y_changed[:, :position], atol=1e-6)


def test_a_dropped_position_gets_no_gradient():
    layer = _crowded_layer()
    x = tf.constant(CROWD, tf.float32)

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, tf.constant(CROWD_MASK), SPACE_ID, _stream()).values
    gradient = tape.gradient(y, x).numpy().reshape(24, HIDDEN_SIZE)

    assert (gradient[:8] != 0).any()
    np.testing.assert_array_equal(gradient[8:], np.zeros([16, HIDDEN_SIZE]))


# What later work added.


def test_swiglu_experts_gate_half_of_their_columns_with_the_other():
    layer, x = _layer(activation="swiglu"), _inputs()

    output = layer(tf.constant(x), tf.constant(MASK), SPACE_ID)

    expected = reference.experts_of(layer, x, MASK, K, reference.swiglu)
    np.testing.assert_allclose(output.values, expected, atol=1e-5)


def test_shared_experts_are_added_with_weight_1():
    layer, x = _layer(num_shared_experts=2), _inputs()

    output = layer(tf.constant(x), tf.constant(MASK), SPACE_ID)

    shared = layer.shared
    hidden = reference.relu(x @ reference.array(shared.hidden.kernel))
    expected = reference.experts_of(layer, x, MASK, K)
    expected += hidden @ reference.array(shared.output.kernel)
    assert shared.hidden.kernel.shape == (HIDDEN_SIZE, 2 * FILTER_SIZE)
    np.testing.assert_allclose(output.values, expected, atol=1e-5)


def test_autoscale_divides_by_the_root_of_the_widening():
    plain, scaled = _layer(), _layer(autoscale=True)
    x = tf.constant(_inputs())

    y, y_scaled = (
        layer(x, tf.constant(MASK), SPACE_ID).values for layer in (plain, scaled)
    )

    factor = math.sqrt(HIDDEN_SIZE / FILTER_SIZE)
    np.testing.assert_allclose(y_scaled, factor * y, rtol=1e-5)


def test_the_gate_may_see_the_command():
    layer, x = _layer(num_commands=10), tf.constant(_inputs())

    loads = [
        layer(x, tf.constant(MASK), tf.constant(space)).stats.load.numpy()
        for space in (3, 3, 8)
    ]

    np.testing.assert_array_equal(loads[0], loads[1])
    assert (loads[0] != loads[2]).any()


def test_without_room_choices_are_counted_as_dropped():
    layer = _crowded_layer()
    x, mask = tf.constant(CROWD, tf.float32), tf.constant(CROWD_MASK)

    training, evaluation = layer(x, mask, SPACE_ID, _stream()), layer(x, mask, SPACE_ID)

    assert training.stats.dropped == 16.0
    assert evaluation.stats.dropped == 0.0
    assert training.stats.positions == evaluation.stats.positions == 24.0


def test_a_dropless_layer_drops_nothing_in_training():
    layer = _all_to_one(_layer(k=1, num_experts=3, capacity_factor=0.0), 1)

    output = layer(
        tf.constant(CROWD, tf.float32), tf.constant(CROWD_MASK), SPACE_ID, _stream()
    )

    assert output.stats.dropped == 0.0
    expected = reference.experts_of(layer, CROWD, CROWD_MASK, 1)
    np.testing.assert_allclose(output.values, expected, atol=1e-4)


def test_the_bias_moves_against_the_load_in_training_only():
    layer = _layer(router="softmax", balance="bias", bias_rate=0.5)
    layer.gate.bias.assign(tf.zeros([NUM_EXPERTS]))
    x, mask = tf.constant(_inputs()), tf.constant(MASK)

    layer(x, mask, SPACE_ID)
    np.testing.assert_array_equal(layer.gate.bias, np.zeros(NUM_EXPERTS))
    load = layer(x, mask, SPACE_ID, _stream()).stats.load.numpy()

    assert (load != load.mean()).all()
    np.testing.assert_array_equal(layer.gate.bias, 0.5 * np.sign(load.mean() - load))


def test_the_bias_evens_out_a_lopsided_router():
    layer = _layer(k=1, router="softmax", balance="bias", bias_rate=0.01)
    layer.gate.kernel.assign(_random(HIDDEN_SIZE, NUM_EXPERTS) * 0.1)
    layer.gate.bias.assign([1.0, 0.0, 0.0, 0.0, 0.0])
    x, mask = tf.constant(_random(4, 100, HIDDEN_SIZE, seed=4)), tf.ones([4, 100], bool)

    loads = [layer(x, mask, SPACE_ID, _stream()).stats.load.numpy() for _ in range(200)]

    assert loads[0].max() > 0.9 * 400
    assert loads[-1].max() < 1.6 * 80


@pytest.mark.parametrize(
    ("balance", "z_loss_coef"), [("cv", 0.0), ("switch", 0.0), ("none", 0.3)]
)
def test_losses_are_weighted_and_reach_the_gate(balance, z_loss_coef):
    settings = dict(router="softmax", balance=balance)
    x, mask = tf.constant(_inputs()), tf.constant(MASK)
    layer = _layer(**settings, loss_coef=0.5, z_loss_coef=z_loss_coef)
    twice = _layer(**settings, loss_coef=1.0, z_loss_coef=2 * z_loss_coef)

    with tf.GradientTape() as tape:
        loss = layer(x, mask, SPACE_ID, _stream()).balance_loss
    doubled = twice(x, mask, SPACE_ID, _stream()).balance_loss

    assert loss > 0
    np.testing.assert_allclose(doubled, 2 * loss, rtol=1e-5)
    assert np.abs(tape.gradient(loss, layer.gate.kernel)).max() > 0


# Against Tensor2Tensor.


def _experts(variables, layer_number):
    names = _names(variables, rf"moe_\d+_layer_{layer_number}$")
    return np.stack([variables[name] for name in names])


def _names(variables, pattern):
    return original_names.Originals(variables).names(pattern)


def _load_original(layer, variables):
    (gate,) = _names(variables, "gating_gate$")
    (noise,) = _names(variables, "gating_noise$")
    layer.gate.kernel.assign(variables[gate])
    layer.gate.noise.assign(variables[noise])
    layer.kernel_0.assign(_experts(variables, 0))
    layer.kernel_1.assign(_experts(variables, 1))


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_moe", secondary_experts=0)
)
def test_the_layer_is_that_of_the_original(number, monkeypatch):
    case = goldens.case("layer_moe", number)
    x, width = case["in:x"], case.entry["expert_hidden"]
    layer = moe.MixtureOfExperts(
        x.shape[1],
        width,
        num_experts=case.entry["num_experts"],
        k=case.entry["k"],
        capacity_factor=0.0,
        autoscale=True,
        route_padding=True,
        name="experts",
    )
    _load_original(layer, case.variables)
    if case.entry["train"]:
        noise = tf.constant(case["in:noise"])
        monkeypatch.setattr(randomness, "normal", lambda *_: noise)

    output = layer(
        tf.constant(x[None]),
        tf.constant(np.any(x != 0, 1)[None]),
        SPACE_ID,
        _stream() if case.entry["train"] else None,
    )

    case.compare("out:y", output.values)
    case.compare("out:loss_without_coefficient", output.balance_loss)
