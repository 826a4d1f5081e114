import concurrent.futures
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest

import t2t_mm
from t2t_mm.data import images

OPTIONS = {"extra_length": 3}
PIXELS = np.full([28, 28, 1], 100, np.uint8)


@pytest.fixture(scope="module")
def model(untrained_run_dir):
    return t2t_mm.load(untrained_run_dir)


def test_importing_the_package_is_instant():
    code = (
        "import sys, t2t_mm; t2t_mm.load; "
        "assert not {'tensorflow', 'numpy'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_knows_where_it_is_from(model, untrained_run_dir):
    assert model.problems == ["copy_digits", "mini_speech", "mnist"]
    assert (model.step, model.output_dir) == (7, untrained_run_dir)


def test_texts_are_decoded_in_their_order(model):
    texts = ["12", "9", "345", "9"]

    outputs = model.decode("copy_digits", texts, **OPTIONS)

    assert outputs == [
        model.decode("copy_digits", [text], **OPTIONS)[0] for text in texts
    ]
    assert len(set(outputs)) == 3


def test_pictures_may_be_arrays_or_paths(model, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, [28, 28, 1], np.uint8)
    path = tmp_path / "picture.png"
    path.write_bytes(images.encode_png(pixels))

    outputs = model.decode("mnist", [pixels, path, str(path)])

    assert len(set(outputs)) == 1
    assert outputs[0] in "0123456789"


def test_a_search_gives_the_likeliest_classes_with_their_probabilities(model):
    (found,) = model.search("mnist", [PIXELS], beam_size=3, return_beams=True)

    scores = model.score("mnist", [PIXELS] * 3, [result.text for result in found])
    assert len(found) == 3
    assert [result.score for result in found] == pytest.approx(
        [score.log_probability for score in scores], abs=1e-5
    )
    assert found[0].score > found[1].score > found[2].score


def test_probabilities_of_all_classes_sum_to_one(model):
    scores = model.score("mnist", [PIXELS] * 10, list("0123456789"))

    probabilities = [math.exp(score.log_probability) for score in scores]
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)
    likeliest = "0123456789"[np.argmax(probabilities)]
    assert model.decode("mnist", [PIXELS]) == [likeliest]


def test_sounds_are_arrays(model):
    waveform = np.random.default_rng(0).normal(0.0, 0.1, 8000).astype(np.float32)

    (output,) = model.decode("mini_speech", [waveform], **OPTIONS)

    assert isinstance(output, str)


def test_two_threads_get_what_one_gets(untrained_run_dir):
    """The first calls meet while the graph is not there yet."""
    random = np.random.default_rng(0)
    batches = [list(random.integers(0, 256, [n, 28, 28, 1], "uint8")) for n in range(9)]
    shared = t2t_mm.load(untrained_run_dir)

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda batch: shared.decode("mnist", batch), batches))

    assert found == [shared.decode("mnist", batch) for batch in batches]
    assert len({output for outputs in found for output in outputs}) > 1


def test_scores_are_of_the_outputs_of_decode(model, digits_dir):
    evaluated = model.evaluate_with_outputs("copy_digits", digits_dir, **OPTIONS)

    predictions = evaluated.predictions
    # copy_digits: the reference is the input.
    inputs = [reference for (reference,) in predictions.references]
    assert model.decode("copy_digits", inputs, **OPTIONS) == predictions.outputs
    assert evaluated.results.scores["exact"].examples == len(inputs) == 60


def test_a_split_is_evaluated(model, digits_dir):
    results = model.evaluate("copy_digits", digits_dir, **OPTIONS)

    assert (results.problem, results.split) == ("copy_digits", "dev")
    assert (results.checkpoint, results.step) == ("ckpt-7", 7)
    assert results.decode_options == OPTIONS
    assert results.scores.keys() == {"exact", "bleu", "chrf"}
    bleu = results.scores["bleu"]
    assert bleu.interval.low <= bleu.value <= bleu.interval.high
    assert bleu.examples == 60
    assert results.metrics.keys() == {
        "teacher_forced_loss",
        "teacher_forced_log_perplexity",
        "teacher_forced_token_accuracy",
        "teacher_forced_sequence_accuracy",
    }
    # An untrained model is about as good as one that knows nothing.
    assert 1.0 < results.metrics["teacher_forced_log_perplexity"] < 20.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m.decode("copy_digit", ["1"]), LookupError, "'copy_digits'"),
        (lambda m: m.decode("cifar10", []), LookupError, "not trained on cifar10"),
        (lambda m: m.decode("copy_digits", "12"), ValueError, "must be a list"),
        (
            lambda m: m.decode("copy_digits", ["1"], extra_lenght=2),
            ValueError,
            "Did you mean extra_length",
        ),
        (lambda m: m.decode("copy_digits", [12]), ValueError, "must be a str"),
        (lambda m: m.score("copy_digits", ["1"], []), ValueError, "1 inputs and 0"),
        (lambda m: m.score("copy_digits", ["1"], "1"), ValueError, "must be a list"),
        (lambda m: m.score("mnist", [PIXELS], ["ten"]), ValueError, "no class 'ten'"),
        (lambda m: m.decode("mnist", ["no.png"]), FileNotFoundError, "no.png"),
        (
            lambda m: m.evaluate("mnist", "/no"),
            FileNotFoundError,
            "No records of mnist",
        ),
        (lambda m: m.evaluate("mnist", "/no", "val"), ValueError, "'val'"),
    ],
)
def test_mistakes_are_explained(model, call, error, message):
    with pytest.raises(error, match=message):
        call(model)


def test_an_older_checkpoint_stands_in_for_a_damaged_one(untrained_run_dir, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(untrained_run_dir, run)
    for path in list(run.glob("ckpt-7.*")):
        (run / path.name.replace("-7", "-12")).write_bytes(path.read_bytes()[:100])
    (run / "checkpoint").unlink()

    assert t2t_mm.load(run).checkpoint == f"{run}/ckpt-7"
    with pytest.raises(OSError, match="ckpt-12' is damaged"):
        t2t_mm.load(run, checkpoint_path=f"{run}/ckpt-12")


def test_checkpoints_of_other_folders_have_names_of_their_own(
    untrained_run_dir, tmp_path
):
    other = tmp_path / "average"
    shutil.copytree(untrained_run_dir, other)

    average = t2t_mm.load(untrained_run_dir, checkpoint_path=str(other))

    assert average.checkpoint_name == "average.ckpt-7"
    assert t2t_mm.load(untrained_run_dir).checkpoint_name == "ckpt-7"


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="must be the folder of a training run"):
        t2t_mm.load(tmp_path)
