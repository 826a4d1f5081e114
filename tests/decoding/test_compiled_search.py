import collections
import re

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm.decoding import compiled_search, searcher
from t2t_mm.decoding.decode_config import DecodeConfig

ROWS = 3


def _features(model, problem):
    batch = tiny_models.make_batch(
        problem, input_lengths=(6, 4, 3), target_lengths=(2, 0, 1), padding=1
    )
    return model.prepare(batch, problem)


def _search(model, problem, *, jit_compile, **options):
    search = searcher.Searcher(
        [model], problem, config=DecodeConfig(**options), constraint=None
    )
    features = _features(model, problem)
    features = {name: features[name] for name in search.signature()}
    compiled = compiled_search.CompiledSearch(search, problem, jit_compile)
    return compiled, (features, tf.zeros([ROWS], tf.bool))


def _assert_same(found, expected):
    length = expected.ids.shape[2]
    np.testing.assert_array_equal(found.ids[:, :, :length], expected.ids)
    assert not np.any(found.ids[:, :, length:])
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4)


@pytest.mark.parametrize(
    ("hparams_set", "problem", "options"),
    [
        pytest.param(
            "multimodel_tiny",
            "text_to_text",
            {"beam_size": 2, "return_beams": True},
            marks=pytest.mark.slow,
        ),
        pytest.param("multimodel_tiny", "audio_to_text", {}, marks=pytest.mark.slow),
        pytest.param("multimodel_t2t_tiny", "text_to_text", {}, marks=pytest.mark.slow),
        ("transformer_tiny", "text_alone", {"beam_size": 2}),
    ],
)
def test_xla_finds_what_the_plain_graph_finds(hparams_set, problem, options):
    model = tiny_models.perturb(tiny_models.make_model(hparams_set), deviation=0.3)
    options = dict(extra_length=2, eos_penalty=-1.5) | options

    (plain, batch), (compiled, _) = (
        _search(model, problem, jit_compile=jit_compile, **options)
        for jit_compile in (False, True)
    )

    _assert_same(compiled(*batch), plain(*batch))


def test_a_shape_is_compiled_once_it_has_come_up_often(monkeypatch):
    monkeypatch.setattr(compiled_search, "BATCHES_BEFORE_COMPILING", 2)
    model = tiny_models.make_model("transformer_tiny", num_hidden_layers=1)
    search, batch = _search(model, "text_to_text", jit_compile=None, extra_length=1)

    programs = []
    for _ in range(4):
        search(*batch)
        programs.append(search.num_programs)

    assert programs == [0, 0, 1, 1]


@pytest.mark.parametrize(("jit_compile", "programs"), [(None, 0), (True, 1)])
def test_bfloat16_on_a_cpu_is_compiled_only_if_asked(
    monkeypatch, jit_compile, programs
):
    monkeypatch.setattr(compiled_search, "BATCHES_BEFORE_COMPILING", 0)
    model = tiny_models.make_model(
        "transformer_tiny", num_hidden_layers=1, activation_dtype="bfloat16"
    )
    search, batch = _search(
        model, "text_to_text", jit_compile=jit_compile, extra_length=1
    )

    search(*batch)

    assert search.num_programs == programs


def test_what_xla_cannot_compile_is_searched_without_it():
    model = tiny_models.make_model("transformer_tiny", num_hidden_layers=1)
    search, (features, is_filler) = _search(
        model, "text_to_class", jit_compile=True, extra_length=1
    )

    found = search(features, is_filler)

    assert found.ids.shape == [ROWS, 1, 1]
    assert search.num_programs == 0


@pytest.mark.parametrize("hparams_set", ["multimodel_tiny", "multimodel_t2t_tiny"])
def test_a_program_takes_what_it_is_given_as_parameters(hparams_set):
    """XLA compiles anew for every batch if a shape or place depends on its numbers."""
    model = tiny_models.make_model(hparams_set)
    search, (features, is_filler) = _search(
        model, "text_to_text", jit_compile=True, extra_length=1
    )
    search(features, is_filler)
    (program,) = search._programs.values()
    encoded = search._encode(features)
    space = {"target_space_id": features["target_space_id"]}

    lowered = program.experimental_get_compiler_ir(space, encoded, is_filler)
    text = lowered(stage="hlo")

    entry = text.partition("ENTRY")[2]
    parameters = re.findall(r"(%\S+) = f32\S+ parameter\(", entry)
    assert len(parameters) > 20
    uses = collections.Counter(re.findall(r"%[\w.]+", entry))
    assert [name for name in parameters if uses[name] == 1] == []
