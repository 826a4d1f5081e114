import math

import numpy as np
import pytest
import tensorflow as tf

import goldens
from t2t_mm.layers import randomness, routing


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _stream(seed=(1, 2)):
    return randomness.RandomStream(tf.constant(seed, tf.int32))


def _gating(clean, noise_logits, k, rng, mask=None):
    mask = np.ones(len(clean), bool) if mask is None else mask
    return routing.noisy_top_k_gating(
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
        gating = routing.noisy_top_k_gating(
            clean, tf.zeros([9, 5]), 2, tf.ones([9], tf.bool), _stream()
        )
        loss = routing.squared_variation(gating.load)
    gradient = tape.gradient(loss, clean)

    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0
    assert (gating.load.numpy() % 1 != 0).any()


def test_squared_variation():
    x = np.array([1.0, 2.0, 6.0])

    # Mean 3, variance (4 + 1 + 9) / 3.
    assert routing.squared_variation(tf.constant(x)).numpy() == pytest.approx(14 / 27)
    assert routing.squared_variation(tf.zeros([3])) == 0.0
    assert routing.squared_variation(tf.fill([3], 2.0)).numpy() == pytest.approx(0.0)


@pytest.mark.parametrize(("k", "expected"), [(1, [0.25]), (2, [1 / 3, 2 / 3])])
def test_softmax_gates_are_probabilities_that_sum_to_1_if_there_are_several(
    k, expected
):
    probabilities = np.array([[0.1, 0.25, 0.5, 0.15]])
    clean = tf.constant(np.log(probabilities), tf.float32)
    bias = tf.constant([0.0, 9.0, 8.0, 0.0])

    gating = routing.softmax_gating(clean, bias, k, tf.constant([True]))

    # The bias makes 1 the first choice and leaves the gates alone.
    np.testing.assert_array_equal(gating.experts, [[1, 2][:k]])
    np.testing.assert_allclose(gating.gates, [expected], rtol=1e-5)


def test_switch_loss_by_hand():
    clean = tf.constant(np.log([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]), tf.float32)
    mask = tf.constant([True, True, False])

    loss = routing.switch_loss(clean, tf.constant([2.0, 0.0]), mask)

    # Fractions 1 and 0, mean probabilities 0.7 and 0.3.
    assert loss.numpy() == pytest.approx(2 * 0.7)


def test_switch_loss_is_1_in_balance():
    loss = routing.switch_loss(
        tf.zeros([6, 3]), tf.fill([3], 2.0), tf.ones([6], tf.bool)
    )

    assert loss.numpy() == pytest.approx(1.0)


def test_z_loss_is_the_mean_squared_logsumexp_of_real_positions():
    clean = np.array([[1.0, 2.0], [0.0, -3.0], [50.0, 0.0]], np.float32)

    loss = routing.z_loss(tf.constant(clean), tf.constant([True, True, False]))

    expected = np.log(np.exp(clean[:2]).sum(1)) ** 2
    assert loss.numpy() == pytest.approx(expected.mean())


def test_entropy_is_summed_over_real_positions():
    clean = tf.constant(np.log([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]]), tf.float32)

    entropy = routing.total_entropy(clean, tf.constant([True, True, False]))

    first = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert entropy.numpy() == pytest.approx(first + math.log(2))


# Against Tensor2Tensor.


def _dense_gates(gating, num_experts):
    one_hot = np.eye(num_experts)[gating.experts.numpy()]
    return (gating.gates.numpy()[:, :, None] * one_hot).sum(1)


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_moe", secondary_experts=0)
)
def test_gates_importance_and_load_are_those_of_the_original(number):
    case = goldens.case("layer_moe", number)
    x, k = tf.constant(case["in:x"]), case.entry["k"]
    mask = tf.ones([x.shape[0]], tf.bool)  # the original routes padding
    (gate,) = [v for n, v in case.variables.items() if n.endswith("gating_gate")]
    (noise,) = [v for n, v in case.variables.items() if n.endswith("gating_noise")]
    clean = tf.matmul(x, gate)
    if case.entry["train"]:
        deviation = tf.nn.softplus(tf.matmul(x, noise)) + case.entry["noise_epsilon"]
        gating = routing.gating_with_noise(
            clean, tf.constant(case["in:noise"]), deviation, k, mask
        )
    else:
        gating = routing.noisy_top_k_gating(clean, clean, k, mask, None)

    case.compare("out:gates", _dense_gates(gating, clean.shape[1]))
    case.compare("out:importance", gating.importance)
    case.compare("out:load", gating.load)
    case.compare("out:cv2_importance", routing.squared_variation(gating.importance))
    case.compare("out:cv2_load", routing.squared_variation(gating.load))


@pytest.mark.parametrize(
    "number",
    goldens.numbers_of_cases("layer_moe", title="squared coefficient of variation"),
)
def test_squared_variation_is_that_of_the_original(number):
    case = goldens.case("layer_moe", number)

    case.compare("out:cv2", routing.squared_variation(tf.constant(case["in:x"])))
