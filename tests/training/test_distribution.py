import json

import numpy as np
import pytest
import replicas
import tensorflow as tf

import tiny_models
from t2t_mm.training import strategies

TEXT, CLASS, ALONE = "text_to_text", "image_to_class", "text_alone"
SETTINGS = dict(
    num_hidden_layers=1,
    shared_embedding_and_softmax_weights=False,  # so that tables have lazy rows
    optimizer="lazy_adam",
    clip_grad_norm=1.0,
    weight_decay=0.01,
    **replicas.CALM,
)
CALM_EXPERTS = dict(
    moe_router="softmax",
    moe_k=2,
    dropout=0.0,
    attention_dropout=0.0,
    optimizer="momentum",  # Adam makes whole steps of gradients that are rounding
)


def _batch(problem, seed, lengths=(7, 4, 6)):
    return tiny_models.make_batch(
        problem, input_lengths=(9, 3, 5), target_lengths=lengths, seed=seed
    )


def _check_in_step(run):
    for variable, values in zip(run.variables(), run.values(), strict=True):
        for value in values[1:]:
            np.testing.assert_array_equal(value, values[0], err_msg=variable.name)


def _check_equal(run, other):
    _check_in_step(run)
    for variable, one, two in zip(
        run.variables(), run.values(), other.values(), strict=True
    ):
        np.testing.assert_allclose(one[0], two[0], atol=1e-5, err_msg=variable.name)


@pytest.fixture(scope="module")
def one():
    return replicas.Run(1, [ALONE], **SETTINGS)


@pytest.fixture(scope="module")
def two():
    return replicas.Run(2, [ALONE], **SETTINGS)


def test_two_replicas_equal_one_device(one, two):
    start = one.values()
    for step in range(3):
        batch = _batch(ALONE, step)  # of three rows, which do not divide by two
        expected, found = (
            run.step(run.draw(ALONE, batch), step=step) for run in (one, two)
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5)

    _check_equal(two, one)
    assert (
        max(np.abs(a[0] - b[0]).max() for a, b in zip(start, one.values(), strict=True))
        > 1e-3
    )


def test_all_replicas_skip_what_is_not_finite_on_one(two):
    batch = _batch(ALONE, 1)
    bad = 18  # an id that only the last row has, which is the second replica's
    targets = np.where(batch["targets"] == bad, 2, batch["targets"])
    targets[2, 0] = bad
    (table,) = (v for v in two.model.variables if v.name.endswith("target:0"))
    old = table.numpy()
    table.assign(np.where(np.arange(len(old))[:, None] == bad, np.nan, old))
    before = two.values()

    output = two.step(two.draw(ALONE, {**batch, "targets": tf.constant(targets)}))

    assert not output[0, -1]
    for old_values, new_values in zip(before, two.values(), strict=True):
        np.testing.assert_array_equal(old_values, new_values)
    table.assign(old)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_four_replicas_equal_one_device_however_an_update_is_put_together(jit_compile):
    problems = [TEXT, CLASS, ALONE]
    runs = [
        replicas.Run(n, problems, jit_compile=jit_compile, **SETTINGS) for n in (1, 4)
    ]
    outputs = []
    for run in runs:
        rows = [run.step(run.draw(p, _batch(p, 1)), step=1) for p in (TEXT, CLASS)]
        draws = [
            run.draw(TEXT, _batch(TEXT, 2), _batch(TEXT, 3, lengths=(2, 7, 1))),
            run.draw(ALONE, _batch(ALONE, 4), _batch(ALONE, 5)),
        ]
        rows += [run.step(*draws, step=2), run.step(*draws, step=3)]
        outputs.append(np.concatenate(rows))

    np.testing.assert_allclose(*outputs, rtol=2e-5)
    _check_equal(*reversed(runs))


@pytest.mark.slow
@pytest.mark.parametrize("problem", tiny_models.PROBLEMS)
def test_a_replica_without_examples_adds_nothing(problem):
    settings = dict(
        CALM_EXPERTS,
        moe_capacity_factor=0.0,
        moe_balance="none",
        num_encoder_blocks=1,  # the graph of a replica takes seconds to optimize
        num_decoder_blocks=1,
    )
    runs = [replicas.Run(n, [problem], "multimodel_tiny", **settings) for n in (1, 2)]
    batch = tiny_models.make_batch(
        problem, input_lengths=(9,), target_lengths=(7,), seed=1
    )

    outputs = [run.step(run.draw(problem, batch)) for run in runs]

    np.testing.assert_allclose(*outputs, rtol=2e-5)
    _check_equal(*reversed(runs))


@pytest.mark.slow
def test_experts_of_replicas_are_those_of_batches_of_one_update():
    whole = tiny_models.make_batch(
        TEXT, input_lengths=(9, 3, 5, 8), target_lengths=(7, 4, 6, 2), seed=1
    )
    first, second = (
        {name: values[start : start + 2] for name, values in whole.items()}
        for start in (0, 2)
    )
    one, two = (
        replicas.Run(n, [TEXT], "multimodel_tiny", **CALM_EXPERTS) for n in (1, 2)
    )

    expected = one.step(one.draw(TEXT, first, second))
    found = two.step(two.draw(TEXT, whole))

    assert expected[0, 1] > 0.0  # the balance loss
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    _check_equal(two, one)


def test_replicas_have_dropout_of_their_own():
    two = replicas.make_distribution(2)
    seed = tf.constant([3, 4])

    @tf.function(autograph=False)
    def seeds():
        return two.strategy.experimental_local_results(
            two.run(lambda: two.replica_seed(seed))
        )

    first, second = (tuple(s.numpy()) for s in seeds())

    assert first != second
    assert tuple(seed.numpy()) not in (first, second)
    np.testing.assert_array_equal(
        replicas.make_distribution(1).replica_seed(seed), seed
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("one", 2), "`strategy` 'one' is of one device; `num_devices` is 2"),
        (("multi_worker", 0), "needs a TF_CONFIG that names workers"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    with pytest.raises(ValueError, match=message):
        strategies.make_distribution(*arguments)


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"cluster": {"worker": 3}}'])
def test_a_wrong_tf_config_is_quoted(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)

    with pytest.raises(ValueError, match="TF_CONFIG must read") as raised:
        strategies.make_distribution("auto", 0)

    assert text in str(raised.value)


def test_parameter_servers_are_not_for_us(monkeypatch):
    cluster = {"worker": ["localhost:1"], "ps": ["localhost:2"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster}))

    with pytest.raises(ValueError, match=r"nothing else; it names \['ps', 'worker'\]"):
        strategies.make_distribution("auto", 0)


@pytest.mark.parametrize(
    ("num_devices", "num_replicas"), [(0, 1), (1, 1), (2, 2), (3, 3)]
)
def test_auto_goes_by_the_number_of_devices(num_devices, num_replicas, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)

    made = strategies.make_distribution("auto", num_devices)

    assert made.num_replicas == num_replicas
    assert made.is_chief
    assert not made.compiles


def test_a_tpu_is_set_up_before_its_strategy(monkeypatch):
    calls = []

    class FakeStrategy(tf.distribute.TPUStrategy):
        """Runs everything once, where it is called."""

        num_replicas_in_sync = 8
        cluster_resolver = None
        extended = None

        def __init__(self, resolver):
            calls.append(("strategy", resolver))

        def run(self, function, args):
            return function(*args)

        def experimental_local_results(self, value):
            return (value,)

    monkeypatch.setattr(
        tf.distribute.cluster_resolver, "TPUClusterResolver", lambda: "a TPU"
    )
    monkeypatch.setattr(
        tf.config,
        "experimental_connect_to_cluster",
        lambda resolver: calls.append(("connect", resolver)),
    )
    monkeypatch.setattr(
        tf.tpu.experimental,
        "initialize_tpu_system",
        lambda resolver: calls.append(("initialize", resolver)),
    )
    monkeypatch.setattr(tf.distribute, "TPUStrategy", FakeStrategy)

    made = strategies.make_distribution("tpu", 0)

    assert calls == [
        ("connect", "a TPU"),
        ("initialize", "a TPU"),
        ("strategy", "a TPU"),
    ]
    assert made.compiles
    assert made.num_replicas == 8
    variable = tf.Variable(3.0)
    assert made.update(variable, lambda x: variable.assign_add(x), 4.0) == 7.0
