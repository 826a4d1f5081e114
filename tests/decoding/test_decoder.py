import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import stored_runs
import tiny_models
from t2t_mm import registry
from t2t_mm.data import generation, text_problem
from t2t_mm.decoding import batch_decoder, compiled_search, loading
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.features import Split
from t2t_mm.runs import checkpoint_choice

CONFIG = DecodeConfig(extra_length=6)


@pytest.fixture(scope="module")
def run_dir(untrained_run_dir):
    return untrained_run_dir


@pytest.fixture(scope="module")
def decoder(run_dir):
    return stored_runs.make_decoder(run_dir, "copy_digits", CONFIG)


def _untrained_decoder(problem, folder, **options):
    """Returns a decoder of a small model, and makes records of the problem."""
    generation.generate(problem, folder, folder)
    hparams = tiny_models.make_hparams("transformer_tiny", num_hidden_layers=1)
    specs = {problem.name: problem.feature_specs(folder)}
    model = tiny_models.perturb(
        registry.MODELS.get("transformer")(hparams, specs, seed=1)
    )
    config = DecodeConfig(extra_length=6, **options)
    return decoder_lib.Decoder(model, problem, config=config, vocab_dir=folder)


def test_outputs_stand_in_the_order_of_the_inputs(decoder):
    inputs = ["1", "", "44", "7" * 40, "44"]  # of two shapes

    outputs = decoder.decode(inputs)

    assert len(outputs) == len(inputs)
    assert outputs[2] == outputs[4]
    alone = [decoder.decode([text])[0] for text in inputs]
    assert outputs == alone  # neighbours and padding change nothing


def test_a_split_is_decoded_whole_and_once(decoder, digits_dir):
    decoded = list(decoder.decode_split(Split.EVAL, digits_dir))

    references = collections.Counter(example.reference for example in decoded)
    assert len(decoded) == 60
    assert all(len(reference) >= 1 for reference in references)
    encoder = registry.problem("copy_digits").text_encoder(digits_dir)
    for example in decoded:  # copy_digits: inputs are the reference
        assert encoder.decode(example.inputs.tolist()) == example.reference


def test_examples_whose_results_are_known_are_not_decoded_again(decoder, digits_dir):
    known = {n: [Hypothesis("known", [1], 0.0)] for n in range(9)}

    decoded = list(decoder.decode_split(Split.EVAL, digits_dir, known=known))

    outputs = [example.output for example in decoded]
    assert outputs[:9] == ["known"] * 9
    expected = [e.output for e in decoder.decode_split(Split.EVAL, digits_dir)]
    assert outputs[9:] == expected[9:]


@pytest.mark.parametrize("jit_compile", [None, False])
def test_batches_side_by_side_give_the_same_to_the_bit(
    run_dir, digits_dir, monkeypatch, jit_compile
):
    monkeypatch.setattr(compiled_search, "BATCHES_BEFORE_COMPILING", 2)
    config = dataclasses.replace(CONFIG, batch_size=32)
    inputs = [str(number % 97) for number in range(90)]
    alone, together = (
        stored_runs.make_decoder(
            run_dir,
            "copy_digits",
            config,
            jit_compile=jit_compile,
            batches_at_once=number,
        )
        for number in (1, 4)
    )

    assert sorted(together.search(inputs)) == sorted(alone.search(inputs))
    examples = [
        [
            (example.inputs.tolist(), example.reference, example.results)
            for example in decoder.decode_split(Split.EVAL, digits_dir)
        ]
        for decoder in (together, alone)
    ]
    assert examples[0] == examples[1]


class _Captions(text_problem.Text2TextProblem):
    name = "captions"
    vocab_type = text_problem.VocabType.BYTE
    several_references = True

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number, given in enumerate(["12", "34", "12", "12", "56"]):
            yield {"inputs": given, "targets": str(number)}


def test_equal_inputs_with_several_references_are_decoded_once(
    registrations, tmp_path, monkeypatch
):
    decoder = _untrained_decoder(_Captions(), str(tmp_path), batch_size=2)
    alone = dict(
        zip(["12", "34", "56"], decoder.decode(["12", "34", "56"]), strict=True)
    )
    prepare, decoded = batch_decoder.BatchDecoder.prepare, []

    def count(self, features, is_filler, numbers):
        decoded.extend(np.flatnonzero(~is_filler))
        return prepare(self, features, is_filler, numbers)

    monkeypatch.setattr(batch_decoder.BatchDecoder, "prepare", count)
    examples = list(decoder.decode_split(Split.EVAL, str(tmp_path)))

    assert len(decoded) == 3
    assert sorted(example.reference for example in examples) == list("01234")
    for example in examples:
        given = decoder.problem.decode_inputs(example.inputs.tolist(), str(tmp_path))
        assert example.output == alone[given]


class _Umlauts(text_problem.Text2SelfProblem):
    name = "umlauts"
    vocab_type = text_problem.VocabType.BYTE

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"targets": "a\u00e4b"}


def test_a_prompt_may_end_within_a_character(registrations, tmp_path):
    decoder = _untrained_decoder(_Umlauts(), str(tmp_path))

    (example,) = decoder.decode_split(Split.EVAL, str(tmp_path))

    # Two of the five ids, with the end: "a" and the first byte of two.
    assert len(example.inputs) == 2
    assert example.reference == "\u00e4b"
    assert not example.output.startswith("a")


def test_a_folder_without_a_run_says_so(tmp_path, registrations):
    with pytest.raises(FileNotFoundError, match="must be the folder of a training run"):
        loading.load_model(str(tmp_path))


def test_a_checkpoint_that_does_not_exist_is_named(run_dir):
    with pytest.raises(FileNotFoundError, match="no checkpoint '.*ckpt-77'"):
        loading.load_model(run_dir, f"{run_dir}/ckpt-77")


def test_a_problem_that_the_run_does_not_know_is_refused(run_dir):
    with pytest.raises(LookupError, match="not trained on reverse_digits. It knows"):
        stored_runs.make_decoder(run_dir, "reverse_digits", CONFIG)


def test_restoring_gives_the_variables_of_the_checkpoint(run_dir):
    model = loading.load_model(run_dir)

    reader = tf.train.load_checkpoint(checkpoint_choice.newest(run_dir))
    stored = reader.get_tensor("model/commands/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(model.commands.numpy(), stored)


@pytest.mark.parametrize(
    ("problem", "unused"), [("mnist", "beam_size, alpha"), ("copy_digits", None)]
)
def test_options_that_targets_ignore_are_named(run_dir, caplog, problem, unused):
    config = DecodeConfig(alpha=1.0, beam_size=2, batch_size=4)

    stored_runs.make_decoder(run_dir, problem, config)

    warning = f"{problem} | no effect on such targets: {unused}"
    assert (warning in caplog.text) == (unused is not None)
    assert unused or "no effect" not in caplog.text


def test_attention_says_where_the_best_output_looked(run_dir):
    options = dict(extra_length=2, return_attention=True)
    beams = DecodeConfig(beam_size=2, return_beams=True, **options)
    decoder = stored_runs.make_decoder(run_dir, "copy_digits", beams)

    found = dict(decoder.search(["12345", "9"]))

    for position, num_inputs in ((0, 6), (1, 2)):  # with the ids that end them
        best, other = found[position]
        (weights,) = best.attention.values()
        assert list(best.attention) == ["decoder_0/source_attention/attention"]
        assert np.shape(weights) == (len(best.ids), num_inputs)
        np.testing.assert_allclose(np.sum(weights, 1), 1.0, atol=1e-3)
        assert np.std(weights) > 0.01
        assert other.attention is None
