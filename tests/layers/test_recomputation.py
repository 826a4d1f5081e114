import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm.data import bucketing
from t2t_mm.layers import compilation, core, randomness, recomputation
from t2t_mm.training import activations

TEXT = "text_to_text"


def _gradients(run, x, layer):
    with tf.GradientTape() as tape:
        tape.watch(x)
        rng = randomness.RandomStream(tf.constant([1, 2]))
        first = run(layer, x, rng)
        second = run(layer, first, rng)
        total = tf.reduce_sum(second**2)
    return total, *tape.gradient(total, [x, layer.kernel, layer.bias])


def _plain(layer, x, rng):
    return tf.nn.relu(randomness.dropout(layer(x), 0.5, rng))


def _recomputed(layer, x, rng):
    values, nothing = recomputation.recomputed(
        lambda x, rng: (_plain(layer, x, rng), None), [x], rng
    )
    assert nothing is None
    return values


def _gradients_by_xla(run, x, layer):
    @tf.function(jit_compile=True, autograph=False)
    def gradients(x):
        with compilation.tracing_for_xla():
            return _gradients(run, x, layer)

    return gradients(x)


@pytest.mark.parametrize(
    "gradients",
    [_gradients, tf.function(_gradients), _gradients_by_xla],
    ids=["eager", "graph", "xla"],
)
def test_a_recomputed_layer_drops_the_same_units_in_both_passes(gradients):
    layer = core.Dense(7, 7, name="dense")
    x = tf.random.stateless_normal([3, 5, 7], [1, 2])

    expected, found = (gradients(run, x, layer) for run in (_plain, _recomputed))

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_graph_that_recomputes_goes_with_its_function():
    layer = core.Dense(7, 7, name="dense")
    traced = tf.function(lambda x: _gradients(_recomputed, x, layer), autograph=False)
    graph = weakref.ref(traced.get_concrete_function(tf.ones([3, 5, 7])).graph)
    assert graph() is not None

    del traced
    gc.collect()

    assert graph() is None


def _model(hparams_set, **changes):
    rates = {"dropout": 0.3, "attention_dropout": 0.2}
    problems = {TEXT: tiny_models.PROBLEMS[TEXT]}
    return tiny_models.make_model(hparams_set, problems, **rates | changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    "hparams_set",
    ["multimodel_t2t_tiny", "multimodel_tiny", "transformer_tiny_experts"],
)
def test_models_have_the_same_gradients_when_they_recompute(hparams_set):
    results = []
    for remat in (False, True):
        model = _model(hparams_set, remat=remat)
        batch = tiny_models.make_batch(
            TEXT, input_lengths=(7, 5), target_lengths=(6, 3)
        )
        features = model.prepare(batch, TEXT)

        @tf.function(autograph=False)
        def gradients(model=model, features=features):
            with tf.GradientTape() as tape:
                rng = randomness.RandomStream(tf.constant([1, 2]))
                output = model(features, problem=TEXT, rng=rng)
                total = output.loss.total + sum(output.extra_losses.values())
            found = tape.gradient(total, model.trainable_variables)
            return total, [tf.convert_to_tensor(g) for g in found]

        results.append(tf.nest.flatten(gradients()))

    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_recomputing_models_keep_less():
    bucket = bucketing.Bucket(batch_size=16, inputs_length=64, targets_length=64)
    kept = []
    for remat in (False, True):
        model = _model("transformer_tiny", remat=remat, num_hidden_layers=3)
        graph = activations.StepGraph(model, TEXT, model.trainable_variables)
        kept.append(graph.peak_bytes(bucket))

    assert kept[1] < 0.6 * kept[0]


def test_a_balance_that_moves_in_every_forward_pass_is_refused():
    with pytest.raises(ValueError, match="`remat` must be false with `moe_balance`"):
        tiny_models.make_hparams(
            "multimodel_tiny", remat=True, moe_balance="bias", moe_router="softmax"
        )
