"""Which experts a position goes to, with which weight, and what imbalance costs."""

import math
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import randomness

_NOISE_EPSILON = 1e-2  # keeps the noise from vanishing
_CV_EPSILON = 1e-10  # keeps the loss of an empty batch finite
_DEVIATION_EPSILON = 1e-20  # without noise, P is 0 or 1, or 1/2 at a tie


class Gating(NamedTuple):
    """A choice of experts for every position.

    Attributes:
      experts: `[positions, k]` int32, best first.
      gates: `[positions, k]` float32; they sum to 1 (or less, if k is 1 and the gate a
        probability) and are 0 at padding.
      importance: `[num_experts]` float32, sum of the gates of each expert.
      load: `[num_experts]` float32, number of positions of each expert; with noise,
        its smooth expectation. `gating_with_noise` without noise counts half a position
        for every expert whose logit ties at the k-th place, however many tie.
    """

    experts: tf.Tensor
    gates: tf.Tensor
    importance: tf.Tensor
    load: tf.Tensor


def noisy_top_k_gating(
    clean: tf.Tensor,
    noise_logits: tf.Tensor,
    k: int,
    mask: tf.Tensor,
    rng: randomness.RandomStream | None,
) -> Gating:
    """Chooses `k` experts by noisy logits (Shazeer et al. 2017, section 2.1).

    Args:
      clean: `[positions, num_experts]` float32, gate logits.
      noise_logits: `[positions, num_experts]` float32; softplus of them is the
        deviation of the noise.
      k: experts per position.
      mask: `[positions]` bool; padding has gates 0 and counts nowhere.
      rng: None outside training, which leaves the noise out.
    """
    if rng is None:
        return gating_with_noise(clean, tf.zeros_like(clean), None, k, mask)
    deviation = tf.nn.softplus(noise_logits) + _NOISE_EPSILON
    noise = randomness.normal(tf.shape(clean), rng)
    return gating_with_noise(clean, noise, deviation, k, mask)


def gating_with_noise(
    clean: tf.Tensor,
    noise: tf.Tensor,
    deviation: tf.Tensor | None,
    k: int,
    mask: tf.Tensor,
) -> Gating:
    """Chooses `k` experts, given standard normal noise.

    Args:
      clean: `[positions, num_experts]` float32, gate logits.
      noise: `[positions, num_experts]` float32.
      deviation: `[positions, num_experts]` float32, what the noise is multiplied by;
        None for 0.
      k: experts per position.
      mask: `[positions]` bool.
    """
    num_experts = clean.shape[1]
    logits = clean if deviation is None else clean + noise * deviation
    top_logits, top_experts = tf.math.top_k(logits, min(k + 1, num_experts))
    kept = tf.cast(mask, tf.float32)[:, None]
    experts, gates = top_experts[:, :k], tf.nn.softmax(top_logits[:, :k]) * kept
    if k == num_experts:
        load = count_choices(experts, mask, num_experts)
    else:
        in_top_k = _probability_in_top_k(clean, logits, deviation, top_logits, k)
        load = tf.reduce_sum(in_top_k * kept, 0)
    return Gating(experts, gates, _sum_by_expert(gates, experts, num_experts), load)


def _probability_in_top_k(
    clean: tf.Tensor,
    noisy: tf.Tensor,
    deviation: tf.Tensor | None,
    top_logits: tf.Tensor,
    k: int,
) -> tf.Tensor:
    """P(x, i): the chance that fresh noise on expert i alone keeps it among the k."""
    threshold_if_in, threshold_if_out = (
        top_logits[:, k : k + 1],
        top_logits[:, k - 1 : k],
    )
    is_in = noisy > threshold_if_in
    threshold = tf.where(is_in, threshold_if_in, threshold_if_out)
    spread = 0.0 if deviation is None else deviation * math.sqrt(2.0)
    return 0.5 * tf.math.erfc((threshold - clean) / (spread + _DEVIATION_EPSILON))


def softmax_gating(
    clean: tf.Tensor, bias: tf.Tensor | None, k: int, mask: tf.Tensor
) -> Gating:
    """Chooses the `k` most probable experts, without noise.

    With k = 1 the gate is the probability, which gives the router its gradient (Fedus
    et al. 2021); otherwise the gates of the chosen sum to 1 (Lepikhin et al. 2020).

    Args:
      clean: `[positions, num_experts]` float32, gate logits.
      bias: `[num_experts]` float32, added for the choice alone (Wang et al. 2024); None
        for 0.
      k: experts per position.
      mask: `[positions]` bool; padding has gates 0 and counts nowhere.
    """
    num_experts = clean.shape[1]
    ranked = clean if bias is None else clean + bias
    experts = tf.math.top_k(ranked, k).indices
    if k == 1:
        gates = tf.gather(tf.nn.softmax(clean), experts, batch_dims=1)
    else:
        gates = tf.nn.softmax(tf.gather(clean, experts, batch_dims=1))
    gates *= tf.cast(mask, tf.float32)[:, None]
    return Gating(
        experts,
        gates,
        _sum_by_expert(gates, experts, num_experts),
        count_choices(experts, mask, num_experts),
    )


def count_choices(experts: tf.Tensor, mask: tf.Tensor, num_experts: int) -> tf.Tensor:
    """Returns how many real positions chose each expert, `[num_experts]` float32."""
    ones = tf.cast(tf.broadcast_to(mask[:, None], tf.shape(experts)), tf.float32)
    return _sum_by_expert(ones, experts, num_experts)


def _sum_by_expert(
    values: tf.Tensor, experts: tf.Tensor, num_experts: int
) -> tf.Tensor:
    flat = tf.reshape(values, [-1])
    return tf.math.unsorted_segment_sum(flat, tf.reshape(experts, [-1]), num_experts)


def squared_variation(x: tf.Tensor) -> tf.Tensor:
    """Returns CV^2: the variance over the squared mean of `[num_experts]`."""
    mean, variance = tf.nn.moments(x, axes=[0])
    return variance / (mean**2 + _CV_EPSILON)


def switch_loss(clean: tf.Tensor, counts: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns E sum_i f_i P_i, which is 1 in balance (Fedus et al. 2021, eq. 4).

    Args:
      clean: `[positions, num_experts]` float32, gate logits.
      counts: `[num_experts]` float32, how many positions chose each expert.
      mask: `[positions]` bool.
    """
    probabilities = tf.nn.softmax(clean) * tf.cast(mask, tf.float32)[:, None]
    mean = tf.reduce_sum(probabilities, 0) / _at_least_one(mask)
    fraction = counts / tf.maximum(tf.reduce_sum(counts), 1.0)
    return clean.shape[1] * tf.reduce_sum(fraction * mean)


def z_loss(clean: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the mean squared logsumexp of the logits (Zoph et al. 2022)."""
    squares = tf.square(tf.reduce_logsumexp(clean, 1))
    return tf.reduce_sum(squares * tf.cast(mask, tf.float32)) / _at_least_one(mask)


def total_entropy(clean: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the summed entropy of the gate's distributions, `[]`, in nats."""
    log_probabilities = tf.nn.log_softmax(clean)
    entropies = -tf.reduce_sum(tf.exp(log_probabilities) * log_probabilities, 1)
    return tf.reduce_sum(entropies * tf.cast(mask, tf.float32))


def _at_least_one(mask: tf.Tensor) -> tf.Tensor:
    return tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32)), 1.0)
