import numpy as np
import pytest
import reference_search
import tensorflow as tf

import tiny_models
from t2t_mm.decoding import searcher
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import EOS_ID

SETS = ("multimodel_tiny", "multimodel_t2t_tiny", "transformer_tiny")
# An end that costs less than nothing, so that some rows end early.
OPTIONS = dict(eos_penalty=-1.5, extra_length=2)
INPUT_LENGTHS = (3, 2)
PROMPT_LENGTHS = (2, 0)
SMALL = dict(num_encoder_blocks=1, num_decoder_blocks=1)


def _models(hparams_set, seeds=(3,)):
    changes = SMALL if hparams_set == "multimodel_tiny" else {}
    return [
        tiny_models.perturb(
            tiny_models.make_model(hparams_set, **changes), deviation=0.3, seed=seed
        )
        for seed in seeds
    ]


def _search(models, problem, features, **options):
    """What the searcher finds, a list of ids and scores for each input."""
    search = searcher.Searcher(
        models, problem, config=DecodeConfig(**options), constraint=None
    )
    features = {name: features[name] for name in search.signature()}
    found = search(features, tf.zeros([2], tf.bool))
    return [
        [
            (_until_end(ids), score)
            for ids, score in zip(*of_input, strict=True)
            if score > -1e7
        ]
        for of_input in zip(found.ids.numpy(), found.scores.numpy(), strict=True)
    ]


def _until_end(ids):
    ids = ids.tolist()
    if EOS_ID in ids:
        return ids[: ids.index(EOS_ID) + 1]
    return [token_id for token_id in ids if token_id]  # zeros are after the end


class _Uncached:
    """Scores of the next id from whole passes of a model over one input."""

    def __init__(self, models, problem, features, row):
        self._models, self._problem = models, problem
        self._features = {
            name: value if value.shape.rank == 0 else value[row : row + 1]
            for name, value in features.items()
        }
        self.prompt = []
        if "inputs" not in features:
            length = int(features["targets_length"][row])
            self.prompt = features["targets"][row, :length].numpy().tolist()

    def __call__(self, prefixes):
        rows, length = len(prefixes), len(prefixes[0]) + 1
        features = {
            name: value if value.shape.rank == 0 else tf.repeat(value, rows, axis=0)
            for name, value in self._features.items()
        }
        features["targets"] = tf.constant([[*prefix, 2] for prefix in prefixes])
        features["targets_length"] = tf.fill([rows], length)
        probabilities = []
        for model in self._models:
            logits = model(features, problem=self._problem).outputs[:, -1].numpy()
            exponentials = np.exp(logits.astype(np.float64))
            probabilities.append(exponentials / exponentials.sum(-1, keepdims=True))
        scores = np.log(np.mean(probabilities, 0))
        scores[:, EOS_ID] -= OPTIONS["eos_penalty"]
        if length <= len(self.prompt):
            scores[:] = -1e9
            scores[:, self.prompt[length - 1]] = 0.0
        return scores


def _features(model, problem):
    batch = tiny_models.make_batch(
        problem, input_lengths=INPUT_LENGTHS, target_lengths=PROMPT_LENGTHS, padding=1
    )
    return model.prepare(batch, problem)


def _max_length(problem, row):
    given = PROMPT_LENGTHS if problem == "text_alone" else INPUT_LENGTHS
    return given[row] + OPTIONS["extra_length"]


def _assert_same(found, expected):
    assert [ids for ids, _ in found] == [ids for ids, _ in expected]
    np.testing.assert_allclose(
        [score for _, score in found], [score for _, score in expected], rtol=1e-3
    )


@pytest.mark.parametrize(
    ("hparams_set", "problem"),
    [
        *((hparams_set, "text_to_text") for hparams_set in SETS),
        ("transformer_tiny", "text_alone"),
        pytest.param("multimodel_tiny", "text_alone", marks=pytest.mark.slow),
        pytest.param("multimodel_t2t_tiny", "text_alone", marks=pytest.mark.slow),
    ],
)
def test_search_equals_whole_passes_for_every_symbol(hparams_set, problem):
    models = _models(hparams_set)
    features = _features(models[0], problem)

    greedy = _search(models, problem, features, alpha=0.0, **OPTIONS)
    beams = _search(
        models, problem, features, beam_size=3, return_beams=True, **OPTIONS
    )

    for row in range(2):
        uncached = _Uncached(models, problem, features, row)
        length = _max_length(problem, row)
        _assert_same(greedy[row], [reference_search.greedy(uncached, length)])
        expected = reference_search.beam(uncached, length, beam_size=3, alpha=0.6)
        _assert_same(beams[row], expected)


def test_several_models_predict_with_their_mean():
    models = _models("transformer_tiny", seeds=(3, 4))
    features = _features(models[0], "text_to_text")

    together, *alone = (
        _search(part, "text_to_text", features, alpha=0.0, **OPTIONS)
        for part in (models, models[:1], models[1:])
    )

    for row in range(2):
        uncached = _Uncached(models, "text_to_text", features, row)
        expected = reference_search.greedy(uncached, _max_length("text_to_text", row))
        _assert_same(together[row], [expected])
    assert together not in alone


@pytest.fixture(scope="module")
def transformer():
    (model,) = _models("transformer_tiny")
    return model, _features(model, "text_to_text")


def _ids(transformer, **options):
    model, features = transformer
    results = _search([model], "text_to_text", features, **options)
    return [[ids for ids, _ in of_input] for of_input in results]


def test_outputs_have_a_least_length(transformer):
    options = dict(eos_penalty=-100.0, extra_length=4)

    assert _ids(transformer, **options) == [[[EOS_ID]], [[EOS_ID]]]
    for beam_size in (1, 2):
        (first,), (second,) = _ids(
            transformer, min_length_ratio=1.2, beam_size=beam_size, **options
        )
        assert [len(first), len(second)] == [5, 4]  # ceil(1.2 * 3) and ceil(1.2 * 2)
        assert (first[-1], second[-1]) == (EOS_ID, EOS_ID)


def test_outputs_have_a_forced_length(transformer):
    for beam_size in (1, 2):
        (first,), (second,) = _ids(
            transformer,
            eos_penalty=-100.0,
            force_decode_length=True,
            extra_length=3,
            beam_size=beam_size,
        )
        assert [len(first), len(second)] == [6, 5]
        assert EOS_ID not in first + second


def test_samples_go_with_the_number_of_the_input(transformer):
    options = dict(sampling_method="random", num_decodes=3, extra_length=3, seed=5)
    model, features = transformer
    numbers = {"numbers": tf.constant([4, 9])}
    turned = {
        name: value if value.shape.rank == 0 else value[::-1]
        for name, value in (features | numbers).items()
    }

    samples = _ids((model, features | numbers), **options)

    assert _ids((model, features | numbers), **options) == samples
    assert _ids((model, turned), **options) == samples[::-1]
    assert len({tuple(ids) for ids in samples[0]}) == 3
    assert _ids((model, features | numbers), **options | {"seed": 6}) != samples


def test_samples_of_one_id_are_greedy(transformer):
    model, features = transformer
    numbers = {"numbers": tf.constant([0, 1])}

    samples = _ids(
        (model, features | numbers),
        sampling_method="random",
        sampling_keep_top_k=1,
        extra_length=3,
    )

    assert samples == _ids(transformer, extra_length=3)


@pytest.mark.parametrize("seeds", [(3,), (3, 4)])
def test_classes_are_ranked(seeds):
    models = _models("transformer_tiny", seeds)
    problem = "text_to_class"
    features = _features(models[0], problem)

    found = _search(models, problem, features, beam_size=3, return_beams=True)

    probabilities = []
    for model in models:
        logits = model(features, problem=problem).outputs[:, 0].numpy()
        exponentials = np.exp(logits.astype(np.float64))
        probabilities.append(exponentials / exponentials.sum(-1, keepdims=True))
    mean = np.mean(probabilities, 0)
    for row in range(2):
        ranked = np.argsort(-mean[row])[:3]
        assert [ids for ids, _ in found[row]] == [[i] if i else [] for i in ranked]
        scores = [score for _, score in found[row]]
        np.testing.assert_allclose(np.exp(scores), mean[row][ranked], rtol=1e-4)


def test_there_are_no_samples_of_classes(transformer):
    with pytest.raises(ValueError, match="text_to_class are no sequences"):
        searcher.Searcher(
            transformer[:1],
            "text_to_class",
            config=DecodeConfig(sampling_method="random"),
            constraint=None,
        )
