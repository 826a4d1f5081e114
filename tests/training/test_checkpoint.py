"""Checkpoints in bad weather, of a model of three numbers."""

import resource
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm import averaging
from t2t_mm.runs import checkpoint_difference, checkpoint_files
from t2t_mm.training import checkpoint, rescue, retention


class Net(tf.Module):
    def __init__(self, values, name="scale"):
        super().__init__()
        setattr(self, name, tf.Variable(values, name=name))


def make(folder, *, net=None, keep=3, problems=("copy",), average=False):
    net = net or Net([0.0, 0.0, 0.0])
    slots = tf.Module()
    slots.moments = {"a.b": tf.Variable([0.0, 0.0])}
    state = checkpoint.RunState(problems)
    checkpoints = checkpoint.Checkpoints(
        net,
        slots,
        state,
        str(folder),
        keep=retention.Retention(newest=keep),
        average=averaging.WeightAverage(net.variables, 0.5) if average else None,
    )
    return checkpoints, state, net


def save_steps(folder, *steps, keep=3):
    folder.mkdir(exist_ok=True)
    checkpoints, state, net = make(folder, keep=keep)
    for step in steps:
        state.step = step
        state.counts["copy"].batches = 10 * step
        state.dev_losses["copy"].first = 1.0 / step
        net.scale.assign([step, 0.0, -step])
        checkpoints.save()
    return checkpoints, state, net


def on_disk(folder):
    return checkpoint_files.steps_on_disk(str(folder))


def test_what_was_saved_is_restored_and_old_ones_are_deleted(tmp_path):
    save_steps(tmp_path, 3, 6, 9, 10, keep=2)

    checkpoints, state, net = make(tmp_path)

    assert checkpoints.restore_latest()
    assert (state.step, state.counts["copy"].batches) == (10, 100)
    assert state.dev_losses["copy"].first == 0.1
    np.testing.assert_array_equal(net.scale, [10.0, 0.0, -10.0])
    assert on_disk(tmp_path) == [9, 10]
    assert not make(tmp_path / "new")[0].restore_latest()


def test_a_damaged_newest_checkpoint_is_left_out_and_written_again(tmp_path, caplog):
    save_steps(tmp_path, 3, 6)
    (tmp_path / "ckpt-6.data-00000-of-00001").write_bytes(b"")
    checkpoints, state, net = make(tmp_path)

    assert checkpoints.restore_latest()

    assert (state.step, state.counts["copy"].batches) == (3, 30)
    np.testing.assert_array_equal(net.scale, [3.0, 0.0, -3.0])
    assert "ckpt-6' is damaged and was left out" in caplog.text
    state.step = 6
    checkpoints.save()
    again, state, _ = make(tmp_path)
    assert again.restore_latest()
    assert state.step == 6


def test_other_variables_are_refused_with_a_table(tmp_path):
    save_steps(tmp_path, 3)
    wider = make(tmp_path, net=Net([[0.0] * 5] * 2))[0]
    renamed = make(tmp_path, net=Net([0.0, 0.0, 0.0], "gain"))[0]

    with pytest.raises(ValueError, match="1 of 12 differ") as of_shape:
        wider.restore_latest()
    with pytest.raises(ValueError, match="2 of 12 differ") as of_name:
        renamed.restore_latest()

    assert "variable     checkpoint  run\n  model/scale  [3]         [2, 5]\n" in str(
        of_shape.value
    )
    assert "model/gain   -           [3]\n  model/scale  [3]         -\n" in str(
        of_name.value
    )
    assert "The model is another one" in str(of_name.value)


def test_another_version_of_the_trainer_is_told_from_another_model(tmp_path):
    save_steps(tmp_path, 3)

    with pytest.raises(ValueError, match="written by another version") as raised:
        make(tmp_path, average=True)[0].restore_latest()

    assert "average/averages/scale  -           [3]" in str(raised.value)


def test_long_tables_are_cut():
    found = {f"model/{number:03}": (2,) for number in range(50)}

    with pytest.raises(ValueError, match=r"\.\.\. and 21 more") as raised:
        checkpoint_difference.check_same("ckpt-1", found, {})

    assert "model/028" in str(raised.value)
    assert "model/029" not in str(raised.value)


def test_expected_variables_are_those_that_are_written(tmp_path):
    checkpoints, _, _ = save_steps(tmp_path, 3)

    shapes = checkpoint_difference.shapes_of(checkpoints._checkpoint)

    assert shapes == checkpoint_difference.shapes_in(str(tmp_path / "ckpt-3"))
    assert shapes["optimizer/moments/a..b"] == (2,)


@pytest.fixture
def no_room():
    """Lets no file grow beyond 100 bytes, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path, no_room):
    checkpoints, state, _ = save_steps(tmp_path, 3, 6)
    state.step = 9

    no_room()
    with pytest.raises(OSError, match="Step 9 cannot be saved: .*File too large"):
        checkpoints.save()

    again, restored, _ = make(tmp_path)
    assert again.restore_latest()
    assert restored.step == 6
    assert not list(tmp_path.glob("*temp*"))


def test_a_folder_that_vanished_is_not_made_again(tmp_path):
    checkpoints, state, _ = save_steps(tmp_path / "run", 3)
    shutil.rmtree(tmp_path / "run")
    state.step = 6

    with pytest.raises(OSError, match="Step 6 cannot be saved: the folder .* vanished"):
        checkpoints.save()

    assert not (tmp_path / "run").exists()


def test_the_state_is_rescued_to_another_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    checkpoints, state, net = save_steps(tmp_path / "run", 3)
    shutil.rmtree(tmp_path / "run")
    state.step = 5
    net.scale.assign([5.0, 5.0, 5.0])

    def describe(folder):
        (tmp_path / folder / "config.json").write_text("{}")

    with (
        pytest.raises(OSError, match="lost. Step 5 is saved in '.*/t2t_rescue_"),
        rescue.Rescue(checkpoints, describe).at_hand(),
    ):
        raise OSError("metrics.jsonl is lost.")

    (folder,) = tmp_path.glob("t2t_rescue_*")
    folder.rename(tmp_path / "run")
    again, restored, net = make(tmp_path / "run")
    assert again.restore_latest()
    assert restored.step == 5
    np.testing.assert_array_equal(net.scale, [5.0, 5.0, 5.0])
    assert (tmp_path / "run/config.json").exists()


def test_with_nowhere_to_rescue_to_the_newest_step_is_named(
    tmp_path, monkeypatch, no_room
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    checkpoints, state, _ = save_steps(tmp_path / "run", 3)
    state.step = 5

    no_room()
    with (
        pytest.raises(OSError, match="full. Step 3 is the last that is saved"),
        rescue.Rescue(checkpoints, lambda folder: None).at_hand(),
    ):
        raise OSError("The disk is full.")


def test_a_step_whose_files_vanished_is_saved_once_more(tmp_path):
    checkpoints, _, _ = save_steps(tmp_path, 3)
    checkpoint_files.delete(str(tmp_path / "ckpt-3"))

    checkpoints.save()

    assert on_disk(tmp_path) == [3]


def test_an_evaluation_that_fails_costs_no_training(tmp_path, caplog):
    checkpoints, state, _ = save_steps(tmp_path, 3)
    state.step = 5

    with (
        pytest.raises(ZeroDivisionError),
        rescue.Rescue(checkpoints, lambda folder: None).at_hand(),
    ):
        raise ZeroDivisionError

    assert on_disk(tmp_path) == [3, 5]
    assert "Step 5 is saved; the same command goes on from there." in caplog.text


@pytest.mark.parametrize("is_saved", [True, False])
def test_a_copy_does_not_depend_on_the_original(tmp_path, is_saved):
    checkpoints, state, net = save_steps(tmp_path, 3)
    if not is_saved:
        state.step = 4
        net.scale.assign([4.0, 4.0, 4.0])
    expected = net.scale.numpy()
    copy = tmp_path / "best" / f"ckpt-{state.step}"
    copy.parent.mkdir()

    checkpoints.copy(str(copy))
    net.scale.assign([7.0, 7.0, 7.0])
    checkpoints.write(str(tmp_path / "ckpt-3"))
    checkpoint_files.delete(str(tmp_path / "ckpt-3"))

    found = tf.train.load_checkpoint(str(copy))
    key = "model/scale/.ATTRIBUTES/VARIABLE_VALUE"
    np.testing.assert_array_equal(found.get_tensor(key), expected)
