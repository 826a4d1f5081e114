import pytest
import tensorflow as tf

import stored_runs
import tiny_models
from t2t_mm import registry
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.evaluation import scores
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.features import Split
from t2t_mm.runs import best_checkpoints
from t2t_mm.training import experiment, history
from t2t_mm.training.run_config import RunConfig


@pytest.fixture
def build(digits_dir, tmp_path, monkeypatch):
    """Returns a function that makes a trainer which has trained nothing yet.

    Outputs of such a model are long and wrong: of all scores the error rate tells most.
    """
    monkeypatch.setattr(registry.problem_class("copy_digits"), "scores", ("cer",))

    def build(**changes):
        return experiment.build(
            model_name="transformer",
            hparams_set="transformer_tiny",
            hparams=tiny_models.make_hparams(
                "transformer_tiny",
                num_hidden_layers=1,
                batch_size=128,
                max_buckets=1,
                ema_decay=0.5,
            ),
            problem_names=["copy_digits"],
            config=RunConfig(eval_steps=1, **changes),
            data_dir=digits_dir,
            output_dir=str(tmp_path),
        )

    return build


@pytest.mark.slow
def test_evaluation_in_training_scores_decoded_outputs(build, digits_dir, tmp_path):
    trainer = build(eval_decode=2, keep_best="copy_digits/decoded_cer")
    random = tf.random.Generator.from_seed(1)
    for variable in trainer._updates._average.averages.values():
        variable.assign(random.normal(variable.shape))

    (results,) = trainer.evaluate(Split.EVAL).values()

    trainer._checkpoints.save()
    # A decoder reads the average from the checkpoint, not the weights.
    decoder = stored_runs.make_decoder(str(tmp_path), "copy_digits", DecodeConfig())
    decoded = list(decoder.decode_split(Split.EVAL, digits_dir, max_batches=2))
    pairs = [(example.reference, example.output) for example in decoded]
    expected = scores.score(["cer"], Predictions.of_pairs(pairs))["cer"].value
    assert results["decoded_cer"] == expected > 0.0
    assert len({output for _, output in pairs}) > 1
    (row,) = history.read(str(tmp_path))
    assert row["decoded_cer"] == expected
    assert row["split"] == "dev" and "accuracy" in row
    best = best_checkpoints.read(str(tmp_path), "copy_digits/decoded_cer")
    assert (best.value, best.higher_is_better) == (expected, False)


def test_nothing_is_decoded_unless_asked_for(build):
    (results,) = build().evaluate(Split.EVAL).values()

    assert not [name for name in results if name.startswith("decoded_")]
