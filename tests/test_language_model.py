"""A problem without inputs, from records to continued prompts, with every model."""

import dataclasses

import pytest

import stored_runs
import tiny_models
from t2t_mm import registry
from t2t_mm.data import generation, text_problem
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import Split
from t2t_mm.training import experiment
from t2t_mm.training.run_config import RunConfig

LETTERS = "abcdefgh"
SMALLER = {
    "multimodel": dict(num_encoder_blocks=1, num_mixer_blocks=0, num_decoder_blocks=1),
    "multimodel_t2t": dict(num_hidden_layers=1, moe_layers=(0,)),
    "transformer": dict(num_hidden_layers=1),
}


class Letters(text_problem.Text2SelfProblem):
    """Letters in their order, round and round, from any of them on."""

    vocab_type = text_problem.VocabType.BYTE

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for start in range(len(LETTERS)):
            for length in (9, 12, 15):
                text = LETTERS * 3
                yield {"targets": text[start : start + length]}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("letters"))
    with pytest.MonkeyPatch.context() as patch:
        entries = dict(registry.PROBLEMS._entries)
        patch.setattr(registry.PROBLEMS, "_entries", entries)
        registry.register_problem("letters")(Letters)
        generation.generate(registry.problem("letters"), folder, folder)
        yield folder


@pytest.fixture(scope="module", params=registry.MODELS.names())
def run(request, data_dir, tmp_path_factory):
    """Metrics of a short run, and a decoder of it."""
    output_dir = str(tmp_path_factory.mktemp(request.param))
    hparams_set = f"{request.param}_tiny"
    hparams = dataclasses.replace(
        tiny_models.make_hparams(hparams_set, hidden_size=24, **SMALLER[request.param]),
        batch_size=128,
        max_buckets=1,
        label_smoothing=0.0,
        learning_rate_schedule="constant",
        learning_rate_constant=5e-3,
    )
    results = experiment.build(
        model_name=request.param,
        hparams_set=hparams_set,
        hparams=hparams,
        problem_names=["letters"],
        config=RunConfig(train_steps=60, eval_every_steps=0, save_every_steps=60),
        data_dir=data_dir,
        output_dir=output_dir,
    ).train_and_evaluate()
    decoder = stored_runs.make_decoder(
        output_dir, "letters", DecodeConfig(extra_length=4)
    )
    return results["letters"], decoder


def test_it_learns_what_comes_next(run):
    results, _ = run

    assert results["accuracy"] > 0.8  # nobody knows where a text starts or ends


def test_prompts_are_continued(run):
    _, decoder = run

    assert decoder.decode(["cde", "fghab", "gh"]) == ["fgha", "cdef", "abcd"]


def test_an_empty_prompt_starts_a_text(run):
    _, decoder = run

    (text,) = decoder.decode([""])

    assert text in LETTERS * 2
    assert len(text) == 4


def test_a_split_is_continued_from_the_middle_of_its_texts(run, data_dir):
    _, decoder = run

    decoded = list(decoder.decode_split(Split.EVAL, data_dir))

    assert len(decoded) == 24
    texts = []
    for example in decoded:
        prompt = decoder.problem.decode_targets(example.inputs.tolist(), data_dir)
        texts.append(prompt + example.reference)
        assert len(prompt) == (len(texts[-1]) + 1) // 2
        assert len(example.output) <= 4
    samples = decoder.problem.generate_samples("", "", Split.EVAL)
    assert sorted(texts) == sorted(sample["targets"] for sample in samples)
    right = [e for e in decoded if e.reference.startswith(e.output[:3])]
    assert len(right) > 18
