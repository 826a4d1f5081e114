import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import registry
from t2t_mm.modality import Embedded

IDS = np.array([[3, 7, 1], [5, 1, 0]], np.int32)
LENGTHS = np.array([3, 2], np.int32)


def _symbol(roles=("inputs", "targets"), **changes):
    modality = registry.MODALITIES.get("symbol")(
        tiny_models.TEXT, tiny_models.make_hparams(**changes), roles, name="words"
    )
    return tiny_models.perturb(modality)


def _table(modality, name):
    tables = {v.name: v.numpy() for v in modality.variables}
    return tables[f"words/{name}:0"]


def test_inputs_are_rows_of_the_table_times_the_root_of_the_depth():
    symbol = _symbol()

    embedded = symbol.bottom(tf.constant(IDS), tf.constant(LENGTHS))

    mask = np.array([[True, True, True], [True, True, False]])
    rows = _table(symbol, "input")[IDS] * math.sqrt(12)
    np.testing.assert_array_equal(embedded.mask, mask)
    np.testing.assert_allclose(embedded.values, rows * mask[..., None], atol=1e-5)
    assert embedded.grid is None


def test_targets_have_a_table_of_their_own_and_padding_is_zero():
    symbol = _symbol()

    values = symbol.targets_bottom(tf.constant(IDS))

    rows = _table(symbol, "target")[IDS] * math.sqrt(12)
    np.testing.assert_allclose(values, rows * (IDS != 0)[..., None], atol=1e-5)


def test_logits_are_products_with_the_rows_of_the_softmax_table():
    symbol = _symbol()
    body = np.random.default_rng(0).normal(size=(2, 3, 12)).astype(np.float32)

    logits = symbol.top(Embedded(tf.constant(body), tf.ones([2, 3], tf.bool)))

    expected = body @ _table(symbol, "softmax").T
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_one_table_serves_all_uses_if_asked_to():
    symbol = _symbol(shared_embedding_and_softmax_weights=True)

    embedded = symbol.bottom(tf.constant(IDS), tf.constant(LENGTHS))
    targets = symbol.targets_bottom(tf.constant(IDS))
    logits = symbol.top(Embedded(targets, tf.ones([2, 3], tf.bool)))

    (table,) = (variable.numpy() for variable in symbol.variables)
    np.testing.assert_array_equal(embedded.values[0], targets[0])
    np.testing.assert_allclose(logits, targets.numpy() @ table.T, atol=1e-3)


@pytest.mark.parametrize(
    ("roles", "tables"),
    [
        (["inputs"], ["input"]),
        (["targets"], ["softmax", "target"]),
        (["inputs", "targets"], ["input", "softmax", "target"]),
    ],
)
def test_only_the_tables_of_its_roles_are_made(roles, tables):
    names = sorted(variable.name for variable in _symbol(roles).variables)

    assert names == [f"words/{table}:0" for table in tables]


def test_text_of_one_vocabulary_shares_a_net_and_other_text_does_not():
    cls = registry.MODALITIES.get("symbol")
    spec = tiny_models.TEXT
    key = cls.key(spec)

    assert key == cls.key(dataclasses.replace(spec, space_id=6))
    assert key != cls.key(dataclasses.replace(spec, vocabulary="letters"))
    assert key != cls.key(dataclasses.replace(spec, vocab_size=20))


def test_a_vocabulary_size_is_needed():
    spec = dataclasses.replace(tiny_models.TEXT, vocab_size=None)

    with pytest.raises(ValueError, match="'symbol' needs a `vocab_size`"):
        registry.MODALITIES.get("symbol")(
            spec, tiny_models.make_hparams(), ["inputs"], name="words"
        )
