import numpy as np
import pytest
import tensorflow as tf

import stored_runs
from t2t_mm.bin import t2t_avg_checkpoints
from t2t_mm.runs import checkpoint_average, checkpoint_files, run_folder

WEIGHT = "model/scale/.ATTRIBUTES/VARIABLE_VALUE"


def save(folder, *steps, size=2):
    """Saves models whose weights are their steps and a tenth of them."""
    for step in steps:
        net, slots, average = tf.Module(), tf.Module(), tf.Module()
        net.scale = tf.Variable([float(step)] * size)
        net.updates = tf.Variable(step)
        slots.moments = tf.Variable([float(step)])
        average.scale = tf.Variable([step / 10])
        tf.train.Checkpoint(
            model=net, optimizer=slots, average=average, step=tf.Variable(step)
        ).write(checkpoint_files.prefix(str(folder), step))
    listed = [checkpoint_files.Listed(step=step, time=1.0) for step in steps]
    checkpoint_files.write_list(
        str(folder), checkpoint_files.CheckpointList(listed=listed)
    )


def values(path):
    reader = tf.train.load_checkpoint(path)
    names = reader.get_variable_to_shape_map().keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return {name.split("/.A")[0]: reader.get_tensor(name).tolist() for name in names}


@pytest.fixture
def run_dir(tmp_path):
    description = stored_runs.describe({}, stored_runs.small_hparams())
    run_folder.write(description, str(tmp_path))
    save(tmp_path, 10, 20, 60)
    return str(tmp_path)


def test_weights_are_averaged_and_the_rest_is_of_the_newest(run_dir, tmp_path):
    paths = [checkpoint_files.prefix(run_dir, step) for step in (60, 10, 20)]

    path = checkpoint_average.write(paths, run_dir, str(tmp_path / "mean"))

    assert path == str(tmp_path / "mean/ckpt-60")
    found = values(path)
    np.testing.assert_allclose(found.pop("average/scale"), [3.0], rtol=1e-6)
    assert found == {
        "model/scale": [30.0, 30.0],
        "model/updates": 60,
        "optimizer/moments": [60.0],
        "step": 60,
    }
    assert tf.train.latest_checkpoint(str(tmp_path / "mean")) == path
    assert run_folder.read(str(tmp_path / "mean")) == run_folder.read(run_dir)


def test_the_mean_is_restored_as_any_checkpoint(run_dir, tmp_path):
    path = checkpoint_average.write(
        [checkpoint_files.prefix(run_dir, 10), checkpoint_files.prefix(run_dir, 20)],
        run_dir,
        str(tmp_path / "mean"),
    )
    net = tf.Module()
    net.scale = tf.Variable([0.0, 0.0])

    status = tf.train.Checkpoint(model=net).read(path)

    status.assert_existing_objects_matched().expect_partial()
    np.testing.assert_array_equal(net.scale, [15.0, 15.0])


def test_other_variables_and_damage_are_named(run_dir, tmp_path):
    save(tmp_path / "wide", 70, size=3)
    paths = [checkpoint_files.prefix(run_dir, 60), str(tmp_path / "wide/ckpt-70")]
    with pytest.raises(ValueError, match=f"differ in 1, such as '{WEIGHT}'"):
        checkpoint_average.write(paths, run_dir, str(tmp_path / "mean"))

    (tmp_path / "ckpt-60.data-00000-of-00001").write_bytes(b"")
    with pytest.raises(OSError, match="The mean cannot be made"):
        checkpoint_average.write(paths[:1], run_dir, str(tmp_path / "mean"))
    assert not (tmp_path / "mean").exists()


def test_checkpoints_are_not_overwritten(run_dir):
    with pytest.raises(FileExistsError, match="has checkpoints already"):
        checkpoint_average.write([f"{run_dir}/ckpt-10"], run_dir, run_dir)


def test_flags_choose_the_newest_or_name_steps_and_paths(run_dir):
    def select(names, count):
        paths = t2t_avg_checkpoints._select(run_dir, names, count)
        return [checkpoint_files.step_of(path) for path in paths]

    assert select([], 2) == [60, 20]
    assert select(["10", f" {run_dir}/ckpt-60"], None) == [10, 60]
    with pytest.raises(FileNotFoundError, match="no checkpoint '.*ckpt-30'"):
        select(["30"], None)
    with pytest.raises(ValueError, match="is 4, and '.*' has 3 checkpoints"):
        select([], 4)
    for names, count in (([], None), (["10"], 2)):
        with pytest.raises(ValueError, match="Either --checkpoints or"):
            select(names, count)
