"""Pairs of paths to the same result, of which one is to stay faster: for the guard.

Sizes are the smallest at which the difference is one of kind: seconds in all.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_mm import hparam, model, registry
from t2t_mm.decoding import searcher
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import conv, dispatch, moe, randomness
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training import optimizers, step_values, updates

PROBLEM = "text"
BATCH, LENGTH, VOCAB_SIZE = 4, 32, 512
SPACE_ID = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pair:
    """Two paths to one result.

    Attributes:
      name: of the pair, "fast/slow".
      fast: computes the result in the way that we chose, and fetches it.
      slow: in the other way.
      floor: how many times faster the first must be, far below what a quiet machine
        shows.
      repeats: of each, in turns.
    """

    name: str
    fast: Callable[[], Any]
    slow: Callable[[], Any]
    floor: float
    repeats: int = 7


def make_model(overrides: str = "") -> tuple[model.Model, dict[str, tf.Tensor]]:
    """Returns a small model from text to text, and a batch without padding."""
    spec = FeatureSpec(modality="symbol", vocab_size=VOCAB_SIZE, vocabulary="random")
    hparams = hparam.resolve("multimodel_tiny", overrides=overrides)
    net = registry.MODELS.get("multimodel")(
        hparams, {PROBLEM: {"inputs": spec, "targets": spec}}, seed=1
    )
    random = np.random.default_rng(0)
    batch = {}
    for name in ("inputs", "targets"):
        ids = random.integers(2, VOCAB_SIZE, (BATCH, LENGTH))
        batch[name] = tf.constant(ids, tf.int32)
        batch[f"{name}_length"] = tf.fill([BATCH], LENGTH)
    return net, net.prepare(batch, PROBLEM)


def compiled_step() -> Pair:
    """A training step as one graph, and operation by operation."""
    net, batch = make_model()
    optimizer = optimizers.make_optimizer(net.trainable_variables, net.hparams)
    maker = updates.Updates(net, optimizer, None, jit_compile=False)
    draw = step_values.Draw(PROBLEM, [batch])
    one, rate, seed = tf.constant(1.0), tf.constant(1e-5), tf.constant([1, 2])

    def eager() -> None:
        gradients, output = maker._gradients(PROBLEM, batch, one, seed)
        maker._update(gradients, output.loss, rate)

    return Pair(
        name="compiled/eager step",
        fast=lambda: maker.step([draw], 1e-5, (1, 2))[0][0].loss.numpy(),
        slow=eager,
        floor=1.5,
        repeats=5,
    )


def cached_decoding() -> Pair:
    """Greedy decoding with caches, and by the whole model again for every id."""
    net, batch = make_model()
    features = {k: v for k, v in batch.items() if not k.startswith("targets")}
    config = DecodeConfig(beam_size=1, extra_length=1, force_decode_length=True)
    search = searcher.Searcher([net], PROBLEM, config=config, constraint=None)
    cached = tf.function(
        lambda given: search(given, tf.zeros([BATCH], tf.bool)).ids, autograph=False
    )

    @tf.function
    def again(given: dict[str, tf.Tensor]) -> tf.Tensor:
        targets = tf.zeros([BATCH, LENGTH], tf.int32)
        lengths = tf.fill([BATCH], LENGTH)
        for position in tf.range(LENGTH):
            so_far = {**given, "targets": targets, "targets_length": lengths}
            logits = net(so_far, problem=PROBLEM).outputs[:, position]
            ids = tf.argmax(logits, -1, output_type=tf.int32)
            targets = tf.where(tf.range(LENGTH) == position, ids[:, None], targets)
        return targets

    return Pair(
        name="cached/uncached decoding",
        fast=lambda: cached(features).numpy(),
        slow=lambda: again(features).numpy(),
        floor=2.0,
        repeats=5,
    )


def sparse_experts() -> Pair:
    """A layer that runs the 2 experts chosen of 32, and one that runs all of them."""
    size, count, positions = 128, 32, 512
    layer = moe.MixtureOfExperts(
        size, 256, num_experts=count, k=2, capacity_factor=2.0, name="experts"
    )
    x = tf.random.stateless_normal([1, positions, size], [1, 2])
    mask = tf.ones([1, positions], tf.bool)
    variables = list(layer.trainable_variables)

    @tf.function(autograph=False)
    def sparse() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            rng = randomness.RandomStream(tf.constant([1, 2]))
            output = layer(x, mask, tf.constant(SPACE_ID), rng)
            total = tf.reduce_sum(output.values**2) + output.balance_loss
        return tape.gradient(total, variables)

    @tf.function(autograph=False)
    def dense() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            everywhere = tf.tile(x, [count, 1, 1])  # [experts, positions, size]
            hidden = tf.nn.relu(everywhere @ layer.kernel_0)
            total = tf.reduce_sum((hidden @ layer.kernel_1) ** 2)
        return tape.gradient(total, [layer.kernel_0, layer.kernel_1])

    return Pair(
        name="sparse/dense experts",
        fast=lambda: sparse()[-1].numpy(),
        slow=lambda: dense()[-1].numpy(),
        floor=1.5,
    )


def many_experts() -> Pair:
    """Dispatch to 240 experts, of which half the time of that to 30 would do."""
    positions, size, k = 2048, 128, 4
    x = tf.random.stateless_normal([positions, size], [1, 2])
    mask = tf.ones([positions], tf.bool)

    def make(count: int) -> Callable[[], Any]:
        scores = tf.random.stateless_uniform([positions, count], [5, 6])
        gates, experts = tf.math.top_k(scores, k)
        capacity = tf.constant(2 * positions * k // count)

        @tf.function(autograph=False)
        def there_and_back(x: tf.Tensor) -> tf.Tensor:
            with tf.GradientTape() as tape:
                tape.watch(x)
                plan = dispatch.plan_dispatch(experts, mask, count, capacity)
                tables = dispatch.to_tables(x, plan)
                y = dispatch.from_tables(tables, gates, plan)
            return tape.gradient(y, x)

        return lambda: there_and_back(x).numpy()

    return Pair(
        name="dispatch to 240/to 30 experts",
        fast=make(240),
        slow=make(30),
        floor=0.4,
        repeats=15,
    )


def depthwise_convolution() -> Pair:
    """Our dilated depthwise convolution, and the sum of shifted products it stands for.

    Forward and backward.
    """
    kernel_size, dilation_rate, channels = 15, 8, 128
    x = tf.random.stateless_normal([16, 64, channels], [1, 2])
    kernel = tf.random.stateless_normal([kernel_size, channels], [3, 4])
    span = (kernel_size - 1) * dilation_rate

    def ours(x: tf.Tensor) -> tf.Tensor:
        return conv.depthwise_conv_sequence(
            x, kernel, dilation_rate=dilation_rate, causal=True
        )

    def naive(x: tf.Tensor) -> tf.Tensor:
        padded = tf.pad(x, [[0, 0], [span, 0], [0, 0]])
        starts = range(0, span + 1, dilation_rate)
        length = x.shape[1]
        terms = [padded[:, s : s + length] * kernel[i] for i, s in enumerate(starts)]
        return tf.add_n(terms)

    def make(convolve: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[], Any]:
        @tf.function(autograph=False)
        def step(x: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                total = tf.reduce_sum(convolve(x) ** 2)
            return tape.gradient(total, [x, kernel])

        return lambda: step(x)[0].numpy()

    return Pair(
        name="own/naive depthwise convolution",
        fast=make(ours),
        slow=make(naive),
        floor=1.5,
        repeats=15,
    )


def lazy_rows() -> Pair:
    """Adam on the rows of a table that a batch names, and on all of its rows."""
    rows = tf.random.stateless_uniform([512], [1, 2], 0, 32768, tf.int32)
    gradient = gradients_lib.from_tape(
        tf.IndexedSlices(tf.ones([512, 256]), rows, tf.constant([32768, 256]))
    )

    def make(optimizer_name: str) -> Callable[[], Any]:
        table = tf.Variable(tf.zeros([32768, 256]), name="table")
        hparams = hparam.resolve(
            "multimodel_tiny", overrides=f"optimizer={optimizer_name}"
        )
        optimizer = optimizers.make_optimizer([table], hparams)

        @tf.function(autograph=False)
        def update() -> tf.Tensor:
            optimizer.apply([gradient], [table], tf.constant(1e-5))
            return tf.gather(table, [0])  # another way of reading copies the table

        return lambda: update().numpy()

    return Pair(
        name="lazy/dense rows of Adam",
        fast=make("lazy_adam"),
        slow=make("adam"),
        floor=3.0,
    )


MAKERS: tuple[Callable[[], Pair], ...] = (
    compiled_step,
    cached_decoding,
    sparse_experts,
    many_experts,
    depthwise_convolution,
    lazy_rows,
)
