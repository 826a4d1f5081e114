import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm.training import attention_maps, preparation, samples
from t2t_mm.training.run_config import RunConfig


@pytest.fixture
def written(monkeypatch):
    """Returns what is written to summaries, by name."""
    written = {}
    for kind in ("text", "image"):
        monkeypatch.setattr(
            tf.summary, kind, lambda name, data, **_: written.update({name: data})
        )
    return written


def test_samples_of_text_have_a_table_and_attention(
    smallest_hparams, digits_dir, written
):
    parts = preparation.prepare(
        model_name="transformer",
        hparams_set="transformer_tiny",
        hparams=smallest_hparams,
        problem_names=("copy_digits",),
        config=RunConfig(),
        data_dir=digits_dir,
    )

    samples.Samples(parts.model, parts.problems, digits_dir, count=3).write()

    assert written.keys() == {"copy_digits/samples", "copy_digits/attention"}
    _, _, *rows = written["copy_digits/samples"].splitlines()
    assert len(rows) == 3
    for row in rows:
        inputs, reference, _ = (cell.strip() for cell in row.strip("|").split("|"))
        assert inputs == reference  # of this problem
        assert inputs.isdigit()
    picture = written["copy_digits/attention"]
    assert picture.dtype == np.uint8
    assert picture.shape[0] == 1 and picture.shape[-1] == 3
    assert picture.std() > 10


def test_maps_of_the_first_row_are_distributions():
    model = tiny_models.make_model("multimodel_1p8")
    maps = attention_maps.AttentionMaps(model)
    batch = tiny_models.make_batch("text_to_text", padding=2)

    of_layers = maps.of_first_row(batch, "text_to_text")

    assert list(of_layers) == [
        "mixer_attention/simple",
        "decoder_0/attention/simple",
        "decoder_1/attention/simple",
    ]
    for weights in of_layers.values():
        assert weights.shape == (9, 11)
        np.testing.assert_allclose(weights[:, :9].sum(1), 1.0, rtol=1e-5)


def test_heads_are_averaged():
    model = tiny_models.make_model("transformer_tiny")
    batch = tiny_models.make_batch("text_to_text")

    of_layers = attention_maps.AttentionMaps(model).of_first_row(batch, "text_to_text")

    assert of_layers["encoder_0/self_attention/attention"].shape == (9, 9)
    assert of_layers["decoder_1/source_attention/attention"].shape == (7, 9)
    causal = of_layers["decoder_0/self_attention/attention"]
    np.testing.assert_allclose(causal, np.tril(causal))
    np.testing.assert_allclose(causal.sum(1), 1.0, rtol=1e-5)


def test_what_a_layer_looks_at_is_named():
    targets, inputs = ["a", "b"], ["x", "y", "z"]

    def tokens(name):
        return tuple(map(list, attention_maps._tokens(name, targets, inputs)))

    assert tokens("encoder_0/self_attention") == (inputs, inputs)
    assert tokens("decoder_0/self_attention") == (targets, ["", "a"])
    assert tokens("decoder_0/source_attention") == (targets, inputs)
    assert tokens("mixer_attention/simple") == (targets, inputs)


def test_a_picture_has_no_more_layers_than_it_can_hold():
    maps = {f"layer_{i}": np.eye(3) for i in range(2 * attention_maps.MOST_LAYERS)}
    most = dict(list(maps.items())[: attention_maps.MOST_LAYERS])

    whole = attention_maps.draw(maps, ["a"] * 3, [])

    np.testing.assert_array_equal(whole, attention_maps.draw(most, ["a"] * 3, []))


def test_pictures_of_several_sizes_are_shown_together():
    small, large = np.ones((2, 3, 3), np.uint8), np.ones((5, 1, 3), np.uint8)

    together = samples._stack([small, large])

    assert together.shape == (2, 5, 3, 3)
    assert together.sum() == small.sum() + large.sum()


def test_cells_of_a_table_stay_in_it():
    assert samples._cell("a | b\n  c") == "a \\| b c"
