import pathlib

import pytest
import tensorflow as tf

from t2t_mm.runs import checkpoint_files
from t2t_mm.runs.checkpoint_files import CheckpointList, Listed


def make(folder, *steps):
    """Makes files of checkpoints, without contents."""
    for step in steps:
        for ending in ("index", "data-00000-of-00002", "data-00001-of-00002"):
            (folder / f"ckpt-{step}.{ending}").touch()


def write_list(folder, *steps):
    checkpoint_files.write_list(
        str(folder),
        CheckpointList(
            listed=[Listed(step=step, time=1000.5 + step) for step in steps],
            preserved_time=999.25,
        ),
    )


def steps(folder):
    paths = checkpoint_files.candidates(str(folder))
    return [checkpoint_files.step_of(path) for path in paths]


def test_a_list_is_read_back_by_us_and_by_tensorflow(tmp_path):
    make(tmp_path, 30, 200)
    write_list(tmp_path, 30, 200)

    found = checkpoint_files.read_list(str(tmp_path))

    assert found.preserved_time == 999.25
    assert [(e.step, e.time) for e in found.listed] == [(30, 1030.5), (200, 1200.5)]
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-200")
    state = tf.train.CheckpointManager(
        tf.train.Checkpoint(), str(tmp_path), 5, checkpoint_name="ckpt"
    )
    assert [path[-4:] for path in state.checkpoints] == ["t-30", "-200"]


def test_the_list_of_tensorflow_is_read(tmp_path):
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(x=tf.Variable(1.0)),
        str(tmp_path),
        max_to_keep=2,
        checkpoint_name="ckpt",
    )
    for step in (3, 5, 8):
        manager.save(checkpoint_number=step)

    listed = checkpoint_files.read_list(str(tmp_path)).listed

    assert [entry.step for entry in listed] == [5, 8]
    assert 0.0 <= listed[1].time - listed[0].time < 60.0
    assert steps(tmp_path) == [8, 5]


def test_the_newest_of_the_list_comes_first_and_one_that_is_not_in_it_last(tmp_path):
    make(tmp_path, 5, 20, 100, 300)
    write_list(tmp_path, 20, 100)

    assert steps(tmp_path) == [100, 20, 5]  # 300 was not written to its end


def test_listed_checkpoints_without_files_are_left_out(tmp_path, caplog):
    make(tmp_path, 20)
    write_list(tmp_path, 20, 100)

    assert steps(tmp_path) == [20]
    assert "ckpt-100' are missing" in caplog.text


@pytest.mark.parametrize("text", [None, "", "model_checkpoint_path: ", "\x00\x01"])
def test_without_a_list_that_can_be_read_files_count(tmp_path, caplog, text):
    make(tmp_path, 20, 100)
    if text is not None:
        (tmp_path / "checkpoint").write_text(text)

    assert steps(tmp_path) == [100, 20]
    assert "no 'checkpoint' that names any of them" in caplog.text


def test_a_list_without_any_files_is_an_error(tmp_path):
    write_list(tmp_path, 20, 100)

    with pytest.raises(FileNotFoundError, match=r"\(20, 100\), but the folder has no"):
        checkpoint_files.candidates(str(tmp_path))


def test_a_folder_that_never_had_checkpoints_has_none(tmp_path):
    (tmp_path / "ckpt-8.data-00000-of-00001").touch()  # of a first one, unfinished

    assert not checkpoint_files.are_in(str(tmp_path))
    assert steps(tmp_path) == []
    assert steps(tmp_path / "nowhere") == []


def test_what_was_left_unfinished_is_deleted_and_nothing_else(tmp_path):
    make(tmp_path, 5)
    (tmp_path / "ckpt-8_temp").mkdir()
    (tmp_path / "ckpt-8_temp/part-00000-of-00001.index").touch()
    (tmp_path / "ckpt-9.index.tempstate77").touch()
    (tmp_path / "notes_temp").mkdir()

    checkpoint_files.delete_unfinished(str(tmp_path))

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "ckpt-5.index",
        "ckpt-5.data-00000-of-00002",
        "ckpt-5.data-00001-of-00002",
        "notes_temp",
    }


def test_only_the_files_of_one_checkpoint_are_deleted(tmp_path):
    make(tmp_path, 1, 10)

    checkpoint_files.delete(str(tmp_path / "ckpt-1"))

    assert checkpoint_files.steps_on_disk(str(tmp_path)) == [10]
    assert len(list(tmp_path.iterdir())) == 3


def test_checkpoints_of_other_numbers_have_other_fingerprints(tmp_path):
    for name, value in (("ckpt-1", 1.0), ("ckpt-2", 2.0), ("ckpt-3", 1.0)):
        tf.train.Checkpoint(x=tf.Variable(value)).write(str(tmp_path / name))

    first, second, third = (
        checkpoint_files.fingerprint(str(tmp_path / f"ckpt-{n}")) for n in (1, 2, 3)
    )

    assert first == third != second


def test_a_second_name_does_not_change_with_the_first(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("old")

    checkpoint_files.link(str(first), str(second))
    first.unlink()
    first.write_text("new")

    assert second.read_text() == "old"


def test_a_file_system_without_links_gets_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr("os.link", _raise_no_links)
    (tmp_path / "a").write_text("old")

    checkpoint_files.link(str(tmp_path / "a"), str(tmp_path / "b"))

    assert (tmp_path / "b").read_text() == "old"


def _raise_no_links(source, target):
    raise PermissionError(1, "Operation not permitted")


def test_the_name_of_a_checkpoint_must_end_with_its_step():
    assert checkpoint_files.step_of("a/b.c/ckpt-77") == 77
    with pytest.raises(ValueError, match=r"must end as 'ckpt-1000' does; got 'a/x-1'"):
        checkpoint_files.step_of("a/x-1")


def _truncate(path, content, random):
    path.write_bytes(content[: random.integers(len(content))])


def _flip(path, content, random):
    position = random.integers(len(content))
    path.write_bytes(
        content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :]
    )


@pytest.mark.parametrize("damage", [_truncate, _flip])
@pytest.mark.parametrize("file", ["ckpt-2.index", "ckpt-2.data-00000-of-00001"])
def test_a_damaged_checkpoint_is_never_read_as_whole(tmp_path, caplog, file, damage):
    import numpy as np

    random = np.random.default_rng(3)
    saved = tf.train.Checkpoint(a=tf.Variable(random.normal(size=[20, 30])))
    _ = saved.save_counter
    for step in (1, 2):
        saved.write(str(tmp_path / f"ckpt-{step}"))
    write_list(tmp_path, 1, 2)
    path = pathlib.Path(tmp_path, file)
    content = path.read_bytes()

    def read(prefix):
        saved.restore(prefix).assert_consumed()

    for _ in range(12):
        damage(path, content, random)
        chosen = checkpoint_files.first_whole(str(tmp_path), read)
        assert chosen == str(tmp_path / "ckpt-1")
    assert "ckpt-2' is damaged and was left out" in caplog.text
    path.write_bytes(content)
    chosen = checkpoint_files.first_whole(str(tmp_path), read)
    assert chosen == str(tmp_path / "ckpt-2")


def test_if_none_is_whole_that_is_an_error(tmp_path):
    make(tmp_path, 1, 2)
    write_list(tmp_path, 1, 2)

    with pytest.raises(OSError, match="has 2 checkpoints, and none of them is whole"):
        checkpoint_files.first_whole(str(tmp_path), tf.train.load_checkpoint)
