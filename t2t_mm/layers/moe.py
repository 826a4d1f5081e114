"""Sparsely gated mixture of experts (Shazeer et al. 2017).

A gate ranks the experts for every position (`routing.py`), positions are gathered into
a table per expert and back (`dispatch.py`), and all experts run as one batched product.
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from t2t_mm.layers import (
    compilation,
    dispatch,
    feed_forward,
    initializers,
    randomness,
    routing,
    used_experts,
)

_CAPACITY_MULTIPLE = 8
_BUSIEST = 2.0  # of means, what the busiest expert without a limit is taken to have
_ROUTER_VARIANCE = 0.1  # of a small initial gate (Fedus et al. 2021, section 2.4)


class ExpertStats(NamedTuple):
    """How experts were used: float32 sums, which add up over batches.

    Attributes:
      load: `[num_experts]`, number of positions that chose each expert.
      dropped: `[]`, number of choices for which the expert had no room.
      entropy: `[]`, entropies of the gate's distributions, in nats; 0 in training,
        where it would cost more than the choice itself.
      positions: `[]`, number of positions.
    """

    load: tf.Tensor
    dropped: tf.Tensor
    entropy: tf.Tensor
    positions: tf.Tensor


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


class Gate(tf.Module):
    """Ranks the experts for every position, in float32 whatever the activations."""

    def __init__(
        self,
        hidden_size: int,
        num_experts: int,
        *,
        k: int,
        router: str,
        num_commands: int,
        balance: str,
        loss_coef: float,
        bias_rate: float,
        z_loss_coef: float,
    ) -> None:
        """Creates the variables; the arguments are those of `MixtureOfExperts`."""
        super().__init__(name="gate")
        self._k = k
        self._balance = balance
        self._loss_coef = loss_coef
        self._bias_rate = bias_rate
        self._z_loss_coef = z_loss_coef
        shape = [hidden_size, num_experts]
        noisy = router == "noisy_top_k"
        small = initializers.normal(math.sqrt(_ROUTER_VARIANCE / hidden_size))
        self.noise = self.command = self.bias = None
        with self.name_scope:
            # Zero with noise, small without: routing starts random and balanced.
            self.kernel = initializers.make_variable(
                "kernel", shape, initializers.zeros if noisy else small
            )
            if noisy:
                self.noise = initializers.make_variable(
                    "noise", shape, initializers.zeros
                )
            if num_commands:
                self.command = initializers.make_variable(
                    "command", [num_commands, num_experts], initializers.zeros
                )
            if balance == "bias":
                self.bias = initializers.make_variable(
                    "bias", [num_experts], initializers.zeros, trainable=False
                )

    def __call__(
        self,
        rows: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> tuple[routing.Gating, tf.Tensor, ExpertStats]:
        """Returns the choice, the weighted balance loss and the use of the experts.

        Args:
          rows: `[positions, hidden_size]`.
          mask: `[positions]` bool.
          space_id: `[]` int32, the command.
          rng: None outside training.
        """
        rows = tf.cast(rows, tf.float32)
        clean = tf.matmul(rows, self.kernel)
        if self.command is not None:
            clean += tf.gather(self.command, space_id)
        gating = self._choose(rows, clean, mask, rng)
        counts = routing.count_choices(gating.experts, mask, clean.shape[1])
        if self.bias is not None and rng is not None:
            overload = counts - tf.reduce_mean(counts)
            self.bias.assign_sub(self._bias_rate * tf.sign(overload))
        stats = ExpertStats(
            load=counts,
            dropped=tf.zeros([]),
            entropy=tf.zeros([]) if rng else routing.total_entropy(clean, mask),
            positions=tf.reduce_sum(tf.cast(mask, tf.float32)),
        )
        return gating, self._loss(clean, gating, counts, mask), stats

    def _choose(
        self,
        rows: tf.Tensor,
        clean: tf.Tensor,
        mask: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> routing.Gating:
        if self.noise is None:
            bias = None if self.bias is None else tf.convert_to_tensor(self.bias)
            return routing.softmax_gating(clean, bias, self._k, mask)
        if rng is None:
            return routing.noisy_top_k_gating(clean, clean, self._k, mask, None)
        noise_logits = tf.matmul(rows, self.noise)
        return routing.noisy_top_k_gating(clean, noise_logits, self._k, mask, rng)

    def _loss(
        self,
        clean: tf.Tensor,
        gating: routing.Gating,
        counts: tf.Tensor,
        mask: tf.Tensor,
    ) -> tf.Tensor:
        loss = tf.zeros([])
        if self._balance == "cv":
            loss += self._loss_coef * (
                routing.squared_variation(gating.importance)
                + routing.squared_variation(gating.load)
            )
        elif self._balance == "switch":
            loss += self._loss_coef * routing.switch_loss(clean, counts, mask)
        if self._z_loss_coef:
            loss += self._z_loss_coef * routing.z_loss(clean, mask)
        return loss


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
        activation: str = "relu",
        autoscale: bool = False,
        num_shared_experts: int = 0,
        router: str = "noisy_top_k",
        num_commands: int = 0,
        balance: str = "cv",
        loss_coef: float = 1.0,
        bias_rate: float = 0.0,
        z_loss_coef: float = 0.0,
        route_padding: bool = False,
        name: str,
    ) -> None:
        """Creates the variables.

        Args:
          hidden_size: depth of inputs and outputs.
          filter_size: depth between the two layers of an expert.
          num_experts: number of experts.
          k: experts per position.
          capacity_factor: rows per expert in training, as a multiple of what perfect
            balance needs of positions that are data, under XLA of all positions; 0 for
            as many as are needed. Evaluation and decoding never drop a position.
          activation: between the two layers, of `feed_forward.ACTIVATIONS`.
          autoscale: multiply outputs by (filter_size / hidden_size)^-1/2.
          num_shared_experts: experts that every position uses, with weight 1.
          router: "noisy_top_k" or "softmax".
          num_commands: how many commands the gate's logits also depend on; 0 if they
            do not.
          balance: "cv", "switch", "bias" or "none".
          loss_coef: weight of the loss "cv" or "switch".
          bias_rate: how far "bias" moves per step.
          z_loss_coef: weight of the z-loss.
          route_padding: treat padding like data, as Tensor2Tensor did.
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
        self._activation = activation
        self._scale = feed_forward.output_scale(
            hidden_size, filter_size, autoscale=autoscale
        )
        self._route_padding = route_padding
        width = feed_forward.hidden_width(activation, filter_size)
        with self.name_scope:
            self.gate = Gate(
                hidden_size,
                num_experts,
                k=k,
                router=router,
                num_commands=num_commands,
                balance=balance,
                loss_coef=loss_coef,
                bias_rate=bias_rate,
                z_loss_coef=z_loss_coef,
            )
            glorot = initializers.glorot_uniform(hidden_size, filter_size)
            self.kernel_0 = initializers.make_variable(
                "kernel_0", [num_experts, hidden_size, width], glorot
            )
            self.kernel_1 = initializers.make_variable(
                "kernel_1", [num_experts, filter_size, hidden_size], glorot
            )
            self.shared = None
            if num_shared_experts:
                self.shared = feed_forward.DenseFeedForward(
                    hidden_size,
                    num_shared_experts * filter_size,
                    activation=activation,
                    name="shared",
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
        if self._route_padding:
            row_mask = tf.ones_like(row_mask)
        gating, loss, stats = self.gate(rows, row_mask, space_id, rng)
        if rng is None and compilation.is_for_xla() and x.shape[1] == 1:
            mixed, dropped = self._mix_step_for_xla(rows, gating), tf.zeros([])
        else:
            mixed, dropped = self._mix(rows, row_mask, gating, stats, rng is not None)
        values = tf.reshape(mixed, tf.shape(x))
        if self.shared is not None:
            values += self.shared(x)
        return MoeOutput(values, loss, stats._replace(dropped=dropped))

    def _used_experts(
        self, rows: tf.Tensor, gating: routing.Gating
    ) -> used_experts.UsedExperts:
        gates = used_experts.gates_of_experts(gating, self._num_experts)
        return used_experts.UsedExperts(
            rows,
            tf.cast(gates * self._scale, rows.dtype),
            (self.kernel_0, self.kernel_1),
            lambda hidden: feed_forward.activate(hidden, self._activation),
        )

    def _mix_step_for_xla(self, rows: tf.Tensor, gating: routing.Gating) -> tf.Tensor:
        """Does what `_mix` does for a step of decoding, which has few positions."""
        experts = self._used_experts(rows, gating)
        return tf.cond(experts.are_few(tf.shape(rows)[0]), experts.run, experts.run_all)

    def _mix(
        self,
        rows: tf.Tensor,
        mask: tf.Tensor,
        gating: routing.Gating,
        stats: ExpertStats,
        training: bool,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        limited = training and self._capacity_factor > 0
        if compilation.is_for_xla() and not limited:
            return self._mix_by_blocks(rows, mask, gating, stats)
        capacity = self._capacity(tf.shape(rows)[0], stats, limited=limited)

        def by_tables() -> tuple[tf.Tensor, tf.Tensor]:
            plan = dispatch.plan_dispatch(
                gating.experts, mask, self._num_experts, capacity
            )
            return self._run_plan(rows, gating, stats, plan, self._kernels())

        if training or compilation.needs_static_shapes():
            return by_tables()
        used = self._used_experts(rows, gating)
        few = used.are_few(capacity)
        return tf.cond(few, lambda: (used.run(), tf.zeros([])), by_tables)

    def _mix_by_blocks(
        self,
        rows: tf.Tensor,
        mask: tf.Tensor,
        gating: routing.Gating,
        stats: ExpertStats,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        balanced = self._k * rows.shape[0] // self._num_experts
        plan, expert_of_block = dispatch.plan_blocks(
            gating.experts, mask, self._num_experts, _round_up(max(balanced, 1))
        )
        first, second = (dispatch.take(k, expert_of_block) for k in self._kernels())
        return self._run_plan(rows, gating, stats, plan, (first, second))

    def _run_plan(
        self,
        rows: tf.Tensor,
        gating: routing.Gating,
        stats: ExpertStats,
        plan: dispatch.Dispatch,
        kernels: tuple[tf.Tensor, tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = self._run_experts(dispatch.to_tables(rows, plan), kernels)
        gates = tf.cast(gating.gates, rows.dtype) * self._scale
        dropped = tf.reduce_sum(stats.load) - tf.reduce_sum(plan.has_slot)
        return dispatch.from_tables(outputs, gates, plan), dropped

    def _kernels(self) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.convert_to_tensor(self.kernel_0), tf.convert_to_tensor(self.kernel_1)

    def _run_experts(
        self, rows: tf.Tensor, kernels: tuple[tf.Tensor, tf.Tensor]
    ) -> tf.Tensor:
        """Maps joined tables `[rows, hidden_size]`, as many tables as kernels."""
        first, second = (tf.cast(kernel, rows.dtype) for kernel in kernels)
        hidden_size = first.shape[1]
        # [tables * capacity, hidden] -> [tables, capacity, hidden]
        tables = tf.reshape(rows, [tf.shape(first)[0], -1, hidden_size])
        hidden = feed_forward.activate(tf.matmul(tables, first), self._activation)
        return tf.reshape(tf.matmul(hidden, second), [-1, hidden_size])

    def _capacity(
        self, positions: tf.Tensor, stats: ExpertStats, *, limited: bool
    ) -> tf.Tensor:
        """Rows per expert: what the busiest needs, but no more than is allowed.

        What is allowed depends on how many positions are data. XLA needs a static
        shape: it gets all that `positions`, padding included, allow.
        """
        if compilation.needs_static_shapes():
            return tf.minimum(self._allowed(positions), positions)
        busiest = tf.cast(tf.reduce_max(stats.load), tf.int32)
        needed = _round_up(tf.maximum(busiest, 1))
        return tf.minimum(self._allowed(stats.positions), needed) if limited else needed

    def _allowed(self, positions: tf.Tensor) -> tf.Tensor:
        """Rows per expert that `positions` allow, `[]` int32, at least 1."""
        balanced = self._k / self._num_experts * tf.cast(positions, tf.float32)
        allowed = tf.math.ceil((self._capacity_factor or _BUSIEST) * balanced)
        return _round_up(tf.maximum(tf.cast(allowed, tf.int32), 1))


def _round_up(rows: Any) -> Any:
    """Returns the next multiple, of an int or tensor: no product has a slow remainder.

    It also rounds differently: without it, what one position holds could change the
    last bits of another.
    """
    return -(-rows // _CAPACITY_MULTIPLE) * _CAPACITY_MULTIPLE
