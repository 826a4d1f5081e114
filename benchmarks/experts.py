"""What many experts cost: routing and dispatch for 240 against 30, and a step's floor.

    python -m benchmarks.experts [--tokens=4096] [--hidden_size=512] [--skew=0.2]

The floor of a training step is k experts' products for every token, the traffic of the
gradients and the update of all weights, without gate, dispatch and uneven tables.
"""

import argparse

import tensorflow as tf

from benchmarks import measure
from t2t_mm.layers import dispatch, moe, randomness, routing

SPACE_ID = 3


def make_layer(num_experts, arguments):
    """Returns a layer; without skew its experts are chosen alike, as at the start."""
    layer = moe.MixtureOfExperts(
        arguments.hidden_size,
        arguments.filter_size,
        num_experts=num_experts,
        k=arguments.k,
        capacity_factor=arguments.capacity_factor,
        name=f"experts_{num_experts}",
    )
    for variable in (layer.gate.kernel, layer.gate.noise):
        shape = variable.shape
        noise = tf.random.stateless_normal(shape, [1, shape[1]])
        variable.assign(arguments.skew * noise)
    return layer


def make_there_and_back(layer, arguments):
    """Returns routing, gathering and combining, forward and backward, no experts."""
    x = tf.random.stateless_normal([arguments.tokens, arguments.hidden_size], [1, 2])
    mask = tf.ones([arguments.tokens], tf.bool)
    variables = [layer.gate.kernel, layer.gate.noise]

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            rng = randomness.RandomStream(tf.constant([1, 2]))
            gating, loss, stats = layer.gate(x, mask, tf.constant(SPACE_ID), rng)
            y = there_and_back(layer, x, mask, gating.experts, gating.gates, stats)
            total = tf.reduce_sum(y * y) + loss
        return tape.gradient(total, [x, *variables])

    return lambda: step(x)[0].numpy()


def there_and_back(layer, x, mask, experts, gates, stats):
    """Brings positions to tables and back, without anything in between."""
    capacity = layer._capacity(tf.shape(x)[0], stats, limited=True)
    plan = dispatch.plan_dispatch(experts, mask, layer._num_experts, capacity)
    return dispatch.from_tables(dispatch.to_tables(x, plan), gates, plan)


def make_dispatch(layer, arguments):
    """Returns planning, gathering and combining for a choice that is given."""
    x = tf.random.stateless_normal([arguments.tokens, arguments.hidden_size], [1, 2])
    mask = tf.ones([arguments.tokens], tf.bool)
    scores = tf.random.stateless_uniform([arguments.tokens, layer._num_experts], [5, 6])
    gates, experts = tf.math.top_k(scores, arguments.k)
    stats = moe.ExpertStats(
        load=routing.count_choices(experts, mask, layer._num_experts),
        dropped=tf.zeros([]),
        entropy=tf.zeros([]),
        positions=tf.constant(float(arguments.tokens)),
    )

    @tf.function
    def step(x, gates):
        with tf.GradientTape() as tape:
            tape.watch([x, gates])
            y = there_and_back(layer, x, mask, experts, gates, stats)
        return tape.gradient(y, [x, gates])

    return lambda: step(x, gates)[0].numpy()


def make_update(variables, gradients_of):
    """Returns a step of Adam on `variables`, without clipping."""
    slots = [
        (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v)))
        for v in variables
    ]

    def update():
        gradients = gradients_of()
        for variable, (m, v), gradient in zip(variables, slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.9,
                beta2_power=0.98,
                lr=1e-9,
                beta1=0.9,
                beta2=0.98,
                epsilon=1e-9,
                grad=gradient,
            )

    return update


def make_training_step(layer, arguments):
    """Returns the whole layer, forward, backward and update."""
    x = tf.random.stateless_normal([1, arguments.tokens, arguments.hidden_size], [1, 2])
    mask = tf.ones([1, arguments.tokens], tf.bool)
    variables = list(layer.trainable_variables)

    def gradients_of():
        with tf.GradientTape() as tape:
            rng = randomness.RandomStream(tf.constant([1, 2]))
            output = layer(x, mask, tf.constant(SPACE_ID), rng)
            total = tf.reduce_sum(output.values**2) + output.balance_loss
        return tape.gradient(total, variables)

    return tf.function(make_update(variables, gradients_of))


def make_floor(layer, arguments):
    """Returns the least there is to do: k experts' products per token, weights once.

    The tokens lie in the tables already, as evenly as they can; the products are those
    of the layer, forward and backward, and the update is that of all experts' weights.
    """
    rows = arguments.tokens * arguments.k // layer._num_experts
    shape = [layer._num_experts * rows, arguments.hidden_size]
    tables = tf.random.stateless_normal(shape, [3, 4])
    variables = [layer.kernel_0, layer.kernel_1]

    def gradients_of():
        with tf.GradientTape() as tape:
            tape.watch(tables)
            y = layer._run_experts(tables, (layer.kernel_0, layer.kernel_1))
            total = tf.reduce_sum(y**2)
        return tape.gradient(total, [tables, *variables])[1:]

    return tf.function(make_update(variables, gradients_of))


def main():
    """Times and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--hidden_size", type=int, default=512)
    parser.add_argument("--filter_size", type=int, default=512)
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--capacity_factor", type=float, default=2.0)
    parser.add_argument("--skew", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    few, many = make_layer(30, arguments), make_layer(240, arguments)
    rows = []
    for title, make in (
        ("dispatch: planning, gathering, combining", make_dispatch),
        ("the same with gate, choice and losses", make_there_and_back),
    ):
        sides = {"30": make(few, arguments), "240": make(many, arguments)}
        rows += compare(title, sides, arguments.rounds)
    for layer in (few, many):
        sides = {
            "floor": make_floor(layer, arguments),
            "step": make_training_step(layer, arguments),
        }
        title = f"training step of {layer._num_experts} experts"
        rows += compare(title, sides, arguments.rounds)
    measure.report(rows, settings=vars(arguments))


def compare(title, sides, rounds):
    """Times two sides; returns rows, the second with its time over the first's."""
    timings = measure.in_turns(sides, repeats=rounds)
    first, second = timings
    ratio = measure.times_faster(timings[first], timings[second])
    return [
        {"what": title, "side": first, **timings[first].figures()},
        {
            "what": title,
            "side": second,
            **timings[second].figures(),
            "over_first": measure.rounded(ratio),
        },
    ]


if __name__ == "__main__":
    main()
