"""Sparsely gated mixture of experts (Shazeer et al. 2017).

Every position goes to the `k` experts that its gate ranks highest. Dispatch sorts the
(position, choice) pairs by expert and gives each expert a table of `capacity` rows:
all shapes are static, nothing loops over experts, and no expert sees a row of padding.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import compilation, initializers, randomness

_NOISE_EPSILON = 1e-2  # keeps the noise from vanishing
_CV_EPSILON = 1e-10  # keeps the loss of an empty batch finite
_CAPACITY_MULTIPLE = 8


class Gating(NamedTuple):
    """Which experts a position goes to, and with which weight.

    Attributes:
      experts: `[positions, k]` int32, best first.
      gates: `[positions, k]` float32; they sum to 1, or are 0 at padding.
      importance: `[num_experts]` float32, sum of the gates of each expert.
      load: `[num_experts]` float32, number of positions of each expert; with noise,
        its smooth expectation.
    """

    experts: tf.Tensor
    gates: tf.Tensor
    importance: tf.Tensor
    load: tf.Tensor


class ExpertStats(NamedTuple):
    """How experts were used: float32 sums, which add up over batches.

    Attributes:
      load: `[num_experts]`, number of positions that chose each expert.
    """

    load: tf.Tensor


class MoeOutput(NamedTuple):
    """Result of a mixture of experts.

    Attributes:
      values: `[batch, length, hidden_size]`, the gate-weighted sum of the experts.
      balance_loss: `[]` float32, what the training loss gets, weighted.
      stats: None if there are no experts to choose from.
    """

    values: tf.Tensor
    balance_loss: tf.Tensor
    stats: ExpertStats | None


def noisy_top_k_gating(
    clean: tf.Tensor,
    noise_logits: tf.Tensor,
    k: int,
    mask: tf.Tensor,
    rng: randomness.RandomStream | None,
) -> Gating:
    """Chooses `k` experts for every position (Shazeer et al. 2017, section 2.1).

    Args:
      clean: `[positions, num_experts]` float32, gate logits.
      noise_logits: `[positions, num_experts]` float32; softplus of them is the
        deviation of the noise.
      k: experts per position.
      mask: `[positions]` bool; padding has gates 0 and counts nowhere.
      rng: None outside training, which leaves the noise out and counts load exactly.
    """
    num_experts = clean.shape[1]
    deviation = tf.nn.softplus(noise_logits) + _NOISE_EPSILON
    logits = clean
    if rng is not None:
        noise = tf.random.stateless_normal(tf.shape(clean), rng.next_seed())
        logits = clean + noise * deviation
    top_logits, top_experts = tf.math.top_k(logits, min(k + 1, num_experts))
    kept = tf.cast(mask, tf.float32)[:, None]
    gates = tf.nn.softmax(top_logits[:, :k]) * kept
    chosen = tf.one_hot(top_experts[:, :k], num_experts) * kept[:, :, None]
    importance = tf.einsum("nk,nke->e", gates, chosen)
    if rng is None or k == num_experts:
        load = tf.reduce_sum(chosen, [0, 1])
    else:
        in_top_k = _probability_in_top_k(clean, logits, deviation, top_logits, k)
        load = tf.reduce_sum(in_top_k * kept, 0)
    return Gating(top_experts[:, :k], gates, importance, load)


def _probability_in_top_k(
    clean: tf.Tensor,
    noisy: tf.Tensor,
    deviation: tf.Tensor,
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
    return 0.5 * tf.math.erfc((threshold - clean) / (deviation * math.sqrt(2.0)))


def squared_variation(x: tf.Tensor) -> tf.Tensor:
    """Returns CV^2: the variance over the squared mean of `[num_experts]`."""
    mean, variance = tf.nn.moments(x, axes=[0])
    return variance / (mean**2 + _CV_EPSILON)


class Dispatch(NamedTuple):
    """Where each (position, choice) pair lies in the experts' tables, and back.

    Attributes:
      slots: `[positions * k]` int32, row of each pair in the joined tables; the spare
        row `num_experts * capacity` if it has none.
      pairs: `[num_experts * capacity]` int32, pair of each row; the spare pair
        `positions * k` if the row is empty.
    """

    slots: tf.Tensor
    pairs: tf.Tensor


def plan_dispatch(
    experts: tf.Tensor, mask: tf.Tensor, num_experts: int, capacity: tf.Tensor
) -> Dispatch:
    """Gives every pair a row in its expert's table, first come first served.

    Order is that of the positions, so that within a sequence only earlier positions
    can take a row away from a later one: dropping stays causal.

    Args:
      experts: `[positions, k]` int32.
      mask: `[positions]` bool; padding gets no row.
      num_experts: number of tables.
      capacity: `[]` int32, rows per table; pairs beyond it are dropped.
    """
    positions, k = tf.shape(experts)[0], experts.shape[1]
    num_pairs = positions * k
    # Padding sorts behind all experts.
    ids = tf.reshape(tf.where(mask[:, None], experts, num_experts), [-1])
    index = tf.range(num_pairs)
    order = tf.argsort(ids * num_pairs + index)  # unique keys: stable by construction
    counts = tf.math.unsorted_segment_sum(tf.ones_like(ids), ids, num_experts + 1)
    starts = tf.cumsum(counts, exclusive=True)
    rank = tf.math.invert_permutation(order) - tf.gather(starts, ids)
    spare = num_experts * capacity
    has_row = (rank < capacity) & (ids < num_experts)
    slots = tf.where(has_row, ids * capacity + rank, spare)
    pairs = tf.tensor_scatter_nd_update(
        tf.fill([spare + 1], num_pairs), slots[:, None], index
    )
    return Dispatch(slots, pairs[:-1])


@tf.custom_gradient
def _take_rows(
    x: tf.Tensor, forward: tf.Tensor, backward: tf.Tensor
) -> tuple[tf.Tensor, object]:
    """Gathers rows of `x`; index `len(x)` means a row of zeros.

    `forward` names every row at most once and `backward` is its inverse, so that the
    gradient is a gather as well, where TensorFlow would scatter.
    """

    def with_zero_row(rows: tf.Tensor) -> tf.Tensor:
        return tf.pad(rows, [[0, 1], [0, 0]])

    def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, None, None]:
        return tf.gather(with_zero_row(dy), backward), None, None

    return tf.gather(with_zero_row(x), forward), gradient


class MixtureOfExperts(tf.Module):
    """`num_experts` two-layer nets, of which every position uses `k`."""

    def __init__(
        self,
        hidden_size: int,
        filter_size: int,
        *,
        num_experts: int,
        k: int,
        capacity_factor: float,
        loss_coef: float = 1.0,
        name: str,
    ) -> None:
        """Creates the variables.

        Args:
          hidden_size: depth of inputs and outputs.
          filter_size: depth between the two layers of an expert.
          num_experts: number of experts.
          k: experts per position.
          capacity_factor: rows per expert in training, as a multiple of what perfect
            balance needs. Evaluation and decoding never drop a position.
          loss_coef: weight of CV^2(importance) + CV^2(load).
          name: scope of the variables.

        Raises:
          ValueError: if `k` is not between 1 and `num_experts`.
        """
        super().__init__(name=name)
        if not 1 <= k <= num_experts:
            raise ValueError(
                f"`moe_k` ({k}) must be between 1 and `moe_num_experts` "
                f"({num_experts})."
            )
        self._k = k
        self._num_experts = num_experts
        self._capacity_factor = capacity_factor
        self._loss_coef = loss_coef
        with self.name_scope:
            # Zero gates: routing starts random and balanced.
            self.gate, self.noise = (
                initializers.make_variable(
                    part, [hidden_size, num_experts], initializers.zeros
                )
                for part in ("gate", "noise")
            )
            glorot = initializers.glorot_uniform(hidden_size, filter_size)
            self.kernel_0 = initializers.make_variable(
                "kernel_0", [num_experts, hidden_size, filter_size], glorot
            )
            self.kernel_1 = initializers.make_variable(
                "kernel_1", [num_experts, filter_size, hidden_size], glorot
            )

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> MoeOutput:
        """Sends every position of `[batch, length, hidden_size]` through its experts.

        Args:
          x: the sequence.
          mask: `[batch, length]` bool; padding reaches no expert and no loss.
          space_id: `[]` int32, the command.
          rng: None outside training.
        """
        rows = tf.reshape(x, [-1, x.shape[-1]])
        row_mask = tf.reshape(mask, [-1])
        routed = tf.cast(rows, tf.float32)
        gating = noisy_top_k_gating(
            tf.matmul(routed, self.gate),
            tf.matmul(routed, self.noise),
            self._k,
            row_mask,
            rng,
        )
        mixed, counts = self._mix(rows, row_mask, gating, training=rng is not None)
        balance_loss = squared_variation(gating.importance) + squared_variation(
            gating.load
        )
        return MoeOutput(
            tf.reshape(mixed, tf.shape(x)),
            self._loss_coef * balance_loss,
            ExpertStats(counts),
        )

    def _mix(
        self, rows: tf.Tensor, mask: tf.Tensor, gating: Gating, *, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor]:
        chosen = tf.where(mask[:, None], gating.experts, self._num_experts)
        counts = tf.math.unsorted_segment_sum(
            tf.ones_like(chosen), chosen, self._num_experts + 1
        )[:-1]
        capacity = self._capacity(tf.shape(rows)[0], counts, training=training)
        plan = plan_dispatch(gating.experts, mask, self._num_experts, capacity)
        hidden_size = rows.shape[1]
        # [positions, hidden] -> [positions * k, hidden]
        repeated = tf.reshape(
            tf.tile(rows[:, None], [1, self._k, 1]), [-1, hidden_size]
        )
        tables = tf.reshape(
            _take_rows(repeated, plan.pairs, plan.slots),
            [self._num_experts, capacity, hidden_size],
        )
        hidden = tf.nn.relu(tf.matmul(tables, tf.cast(self.kernel_0, rows.dtype)))
        outputs = tf.matmul(hidden, tf.cast(self.kernel_1, rows.dtype))
        # [experts, capacity, hidden] -> [positions, k, hidden]
        answers = tf.reshape(
            _take_rows(tf.reshape(outputs, [-1, hidden_size]), plan.slots, plan.pairs),
            [-1, self._k, hidden_size],
        )
        gates = tf.cast(gating.gates, rows.dtype)[:, :, None]
        return tf.reduce_sum(gates * answers, 1), tf.cast(counts, tf.float32)

    def _capacity(
        self, positions: tf.Tensor, counts: tf.Tensor, *, training: bool
    ) -> tf.Tensor:
        """Rows per expert: fixed in training, enough for everything otherwise."""
        if not training:
            # XLA needs a static shape, and only one row per position is always enough.
            return positions if compilation.is_for_xla() else tf.reduce_max(counts)
        balanced = self._k / self._num_experts * tf.cast(positions, tf.float32)
        rows = tf.cast(tf.math.ceil(self._capacity_factor * balanced), tf.int32)
        rounded = -(-rows // _CAPACITY_MULTIPLE) * _CAPACITY_MULTIPLE
        return tf.minimum(rounded, positions)
