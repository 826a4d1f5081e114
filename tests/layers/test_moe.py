import math

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
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


def _layer(*, k=K, num_experts=NUM_EXPERTS, capacity_factor=2.0):
    layer = moe.MixtureOfExperts(
        HIDDEN_SIZE,
        FILTER_SIZE,
        num_experts=num_experts,
        k=k,
        capacity_factor=capacity_factor,
        name="experts",
    )
    return tiny_models.perturb(layer, deviation=0.7)


def _all_to_one(layer, expert):
    """Sends every position first to `expert`, whatever its (positive) values."""
    gate = np.zeros(layer.gate.shape, np.float32)
    gate[:, expert] = 1000.0
    layer.gate.assign(gate)
    layer.noise.assign(np.zeros_like(gate))
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

    gates = reference.softmax(x @ reference.array(layer.gate))
    hidden = reference.relu(np.einsum("bth,ehf->btef", x, layer.kernel_0))
    answers = np.einsum("btef,efh->bteh", hidden, reference.array(layer.kernel_1))
    dense = np.einsum("bte,bteh->bth", gates, answers) * MASK[..., None]
    np.testing.assert_allclose(output.values, dense, atol=1e-5)


def test_the_order_of_experts_does_not_matter():
    layer, x = _layer(), tf.constant(_inputs())
    before = layer(x, tf.constant(MASK), SPACE_ID)
    order = np.array([3, 0, 4, 1, 2])
    for variable, axis in (
        (layer.gate, 1),
        (layer.noise, 1),
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
        logits = row @ reference.array(layer.gate)
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

    logits = x[0, :2] @ layer.gate.numpy()
    chosen = np.unique(np.argsort(-logits)[:, :K])
    assert 2 <= len(chosen) <= 4
    for gradient in gradients:
        reached = np.flatnonzero(np.abs(gradient).max((1, 2)))
        np.testing.assert_array_equal(reached, chosen)


@pytest.mark.parametrize("form", ["default", "compiled"])
def test_gradients_are_those_of_a_dense_formulation(form):
    layer, x = _layer(), tf.constant(_inputs())
    upstream = _random(*MASK.shape, HIDDEN_SIZE, seed=1)
    variables = [layer.gate, layer.kernel_0, layer.kernel_1]

    def dense(x):
        logits = tf.einsum("bth,he->bte", x, layer.gate)
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
    of_balance = tape.gradient(output.balance_loss, [layer.gate, layer.noise])

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

    np.testing.assert_array_equal(np.abs(gradient).max(1) > 0, np.arange(24) < 8)


# Gating and losses.


def _gating(clean, noise_logits, k, rng, mask=None):
    mask = np.ones(len(clean), bool) if mask is None else mask
    return moe.noisy_top_k_gating(
        tf.constant(clean), tf.constant(noise_logits), k, tf.constant(mask), rng
    )


def test_without_noise_the_highest_logits_win():
    clean = np.array([[0.1, 2.0, -1.0, 1.0], [3.0, 0.0, 1.0, 2.5]], np.float32)

    gating = _gating(clean, clean, 2, None)

    np.testing.assert_array_equal(gating.experts, [[1, 3], [0, 3]])
    e = math.e
    np.testing.assert_allclose(
        gating.gates,
        [[e / (1 + e), 1 / (1 + e)], [e**0.5 / (1 + e**0.5), 1 / (1 + e**0.5)]],
        rtol=1e-5,
    )


@pytest.mark.parametrize("k", [1, 2, 5])
def test_importance_sums_to_the_positions_and_load_to_k_times_them(k):
    clean, mask = _random(9, 5), np.arange(9) < 7

    gating = _gating(clean, _random(9, 5, seed=1), k, None, mask)

    assert tf.reduce_sum(gating.importance).numpy() == pytest.approx(7.0, rel=1e-5)
    assert tf.reduce_sum(gating.load) == k * 7
    np.testing.assert_array_equal(gating.gates[7:], np.zeros([2, k]))


def test_importance_under_noise_sums_to_the_positions():
    gating = _gating(_random(9, 5), _random(9, 5, seed=1), 2, _stream())

    assert tf.reduce_sum(gating.importance).numpy() == pytest.approx(9.0, rel=1e-5)


def test_load_under_noise_counts_exactly_where_all_experts_are_chosen():
    mask = np.arange(9) < 7

    gating = _gating(_random(9, 5), _random(9, 5, seed=1), 5, _stream(), mask)

    np.testing.assert_array_equal(gating.load, [7.0] * 5)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_load_under_noise_is_how_often_an_expert_is_chosen(k):
    clean = np.array([0.5, -0.3, 0.0, 1.2, -1.0], np.float32)
    noise_logits = np.array([0.0, 1.0, -2.0, 0.5, 2.0], np.float32)
    positions = 20_000

    load = _gating(
        np.tile(clean, (positions, 1)),
        np.tile(noise_logits, (positions, 1)),
        k,
        _stream(),
    ).load

    deviation = np.log1p(np.exp(noise_logits)) + 0.01
    noisy = clean + deviation * np.random.default_rng(7).normal(size=(100_000, 5))
    chosen = np.argsort(-noisy)[:, :k]
    frequency = np.bincount(chosen.ravel(), minlength=5) / len(noisy)
    np.testing.assert_allclose(load / positions, frequency, atol=0.01)


def test_load_under_noise_has_a_gradient_and_does_not_count():
    clean = tf.Variable(_random(9, 5))

    with tf.GradientTape() as tape:
        gating = moe.noisy_top_k_gating(
            clean, tf.zeros([9, 5]), 2, tf.ones([9], tf.bool), _stream()
        )
        loss = moe.squared_variation(gating.load)
    gradient = tape.gradient(loss, clean)

    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0
    assert (gating.load.numpy() % 1 != 0).any()


def test_squared_variation():
    x = np.array([1.0, 2.0, 6.0])

    # Mean 3, variance (4 + 1 + 9) / 3.
    assert moe.squared_variation(tf.constant(x)).numpy() == pytest.approx(14 / 27)
    assert moe.squared_variation(tf.zeros([3])) == 0.0
    assert moe.squared_variation(tf.fill([3], 2.0)).numpy() == pytest.approx(0.0)


def test_dispatch_gives_rows_in_order_of_position():
    experts = tf.constant([[0, 2], [2, 0], [2, 1], [0, 2]])
    mask = tf.constant([True, True, False, True])

    plan = moe.plan_dispatch(experts, mask, 3, tf.constant(2))

    # Pairs 0..7; expert 0 wants 0, 3, 6 and expert 2 wants 1, 2, 7: two rows each.
    np.testing.assert_array_equal(plan.slots, [0, 4, 5, 1, 6, 6, 6, 6])
    np.testing.assert_array_equal(plan.pairs, [0, 3, 8, 8, 1, 2])
