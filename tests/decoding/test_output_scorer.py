import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import registry
from t2t_mm.data import text_problem
from t2t_mm.decoding.output_scorer import OutputScorer


class Texts(text_problem.Text2SelfProblem):
    name = "texts"
    vocab_type = text_problem.VocabType.BYTE

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        raise NotImplementedError


@pytest.fixture(scope="module")
def problems(registrations):
    return {"copy_digits": registry.problem("copy_digits"), "texts": Texts()}


@pytest.fixture(scope="module")
def model(problems):
    hparams = tiny_models.make_hparams("transformer_tiny", num_hidden_layers=1)
    specs = {name: problem.feature_specs("") for name, problem in problems.items()}
    model = registry.MODELS.get("transformer")(hparams, specs, seed=1)
    return tiny_models.perturb(model)


def _log_probabilities(model, problem, inputs, targets):
    """Returns those of the ids of one target, in NumPy and without padding."""
    features = {"targets": [targets], "targets_length": [len(targets)]}
    if inputs is not None:
        features |= {"inputs": [inputs], "inputs_length": [len(inputs)]}
    features = {name: tf.constant(value) for name, value in features.items()}
    prepared = model.prepare(features, problem)
    logits = model(prepared, problem=problem).outputs.numpy()[0].astype(np.float64)
    every = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return every[np.arange(len(targets)), targets]


def test_scores_are_sums_of_log_probabilities(model, problems):
    problem = problems["copy_digits"]
    pairs = [("12", "34"), ("123456789", ""), ("7", "1234567890"), ("12", "3")]
    scorer = OutputScorer(model, problem, vocab_dir="")

    scores = scorer.score(*zip(*pairs, strict=True))

    for (given, output), score in zip(pairs, scores, strict=True):
        ids = problem.encode_targets(output, "")
        expected = _log_probabilities(
            model, "copy_digits", problem.encode_inputs(given, ""), ids
        )
        assert score.log_probability == pytest.approx(expected.sum(), rel=1e-4)
        assert score.num_ids == len(output) + 1  # with the end


def test_ids_of_a_prompt_do_not_count(model, problems):
    scorer = OutputScorer(model, problems["texts"], vocab_dir="")

    with_prompt, whole = scorer.score(["abc", ""], ["de", "abcde"])

    ids = problems["texts"].encode_targets("abcde", "")
    expected = _log_probabilities(model, "texts", None, ids)
    assert whole.log_probability == pytest.approx(expected.sum(), rel=1e-4)
    assert with_prompt.log_probability == pytest.approx(expected[3:].sum(), rel=1e-4)
    assert (with_prompt.num_ids, whole.num_ids) == (3, 6)


def test_nothing_has_no_scores(model, problems):
    assert OutputScorer(model, problems["texts"], vocab_dir="").score([], []) == []
