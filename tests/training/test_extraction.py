import numpy as np
import pytest

import stored_runs
from t2t_mm.decoding import loading
from t2t_mm.runs import run_folder
from t2t_mm.training import checkpoint, extraction, retention

BYTES = stored_runs.text()
TEXTS = {"inputs": BYTES, "targets": BYTES}
LABEL = {"inputs": BYTES, "targets": stored_runs.classes("miniworld_class", 20)}
PROBLEMS = {"copy_digits": TEXTS, "miniworld_class": LABEL}


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """A joint run of two problems, and its folder."""
    hparams = stored_runs.small_hparams(
        ema_decay=0.9,
        mixing="copy_digits:1,miniworld_class:2",
        problem_loss_weights="copy_digits:3",
        learning_rate_factors="encoder*:0.5,class_label*:0.1",
    )
    classes = {"miniworld_class": [f"class {i}" for i in range(20)]}
    description = stored_runs.describe(PROBLEMS, hparams, classes=classes)
    run = stored_runs.perturb(stored_runs.make(description))
    return run, stored_runs.write(run, tmp_path_factory.mktemp("joint"))


def test_a_part_has_all_of_its_state_and_nothing_of_others(joint, tmp_path):
    run, folder = joint

    before, after = extraction.extract(folder, ["copy_digits"], str(tmp_path / "part"))

    description = run_folder.read(str(tmp_path / "part"))
    assert list(description.problems) == ["copy_digits"]
    assert description.hparams.mixing == "copy_digits:1"
    assert description.hparams.problem_loss_weights == "copy_digits:3"
    assert description.hparams.learning_rate_factors == "encoder*:0.5"
    assert description.classes == {}
    assert description.history[-1]["extracted_from"].endswith("ckpt-40")
    assert after.parameters < before.parameters
    assert after.bytes < before.bytes
    part = stored_runs.make(description, seed=1)
    state = checkpoint.RunState(part.description.problems)
    checkpoint.Checkpoints(
        part.model,
        part.optimizer,
        state,
        str(tmp_path / "part"),
        keep=retention.Retention(newest=1),
        average=part.average,
    ).restore_latest()
    assert state.step == 40
    for name, value in part.values().items():
        np.testing.assert_array_equal(value, run.values()[name])
        for slot, kept in part.slots(name).items():
            np.testing.assert_array_equal(kept, run.slots(name)[slot])


def test_weights_alone_are_smaller_and_averages(joint, tmp_path):
    run, folder = joint
    all_of_it, weights = str(tmp_path / "all"), str(tmp_path / "weights")

    _, whole = extraction.extract(folder, ["miniworld_class"], all_of_it)
    _, bare = extraction.extract(
        folder, ["miniworld_class"], weights, weights_only=True
    )

    assert bare.parameters == whole.parameters
    assert bare.bytes < whole.bytes / 2
    model = loading.load_model(weights)
    for variable in model.variables:
        name = variable.name.partition("/")[2].removesuffix(":0")
        np.testing.assert_array_equal(variable, run.values()[name] + 100.0)
    description = run_folder.read(weights)
    assert description.weights_only
    assert description.hparams.mixing == "miniworld_class:2"
    assert list(description.classes) == ["miniworld_class"]


def test_wrong_names_and_used_folders_are_refused(joint, tmp_path):
    folder = joint[1]

    with pytest.raises(LookupError, match="does not know reverse_digits. It knows"):
        extraction.extract(folder, ["reverse_digits"], str(tmp_path))
    with pytest.raises(ValueError, match="must be a folder without a run"):
        extraction.extract(folder, ["copy_digits"], folder)
