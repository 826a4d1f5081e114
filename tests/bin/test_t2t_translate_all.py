import os
import shutil

import pytest

from t2t_mm.bin import t2t_decoder, t2t_translate_all
from t2t_mm.runs import checkpoint_files


@pytest.fixture
def translate(untrained_run_dir, tmp_path):
    """Returns a function that runs the command on a run with two checkpoints."""
    run = tmp_path / "run"
    shutil.copytree(untrained_run_dir, run)
    for path in list(run.glob("ckpt-7.*")):
        shutil.copyfile(path, str(path).replace("ckpt-7.", "ckpt-12."))
    os.utime(run / "ckpt-12.index", (1e9, 1e9))
    listed = [checkpoint_files.Listed(step=step, time=0.0) for step in (7, 12)]
    checkpoint_files.write_list(
        str(run), checkpoint_files.CheckpointList(listed=listed)
    )
    (tmp_path / "in.txt").write_text("12\n\n345\n")

    def translate(*flags):
        folders = [
            f"--output_dir={run}",
            f"--translations_dir={tmp_path / 'out'}",
        ]
        source = f"--source={tmp_path / 'in.txt'}"
        options = "--decode_hparams=extra_length=2"
        t2t_translate_all.main(
            ["", "--problem=copy_digits", *folders, source, options, *flags]
        )
        return tmp_path / "out"

    return translate


def test_every_checkpoint_gets_a_file_unless_it_has_one(translate, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "copy_digits-7").write_text("mine")

    folder = translate()

    assert sorted(os.listdir(folder)) == ["copy_digits-12", "copy_digits-7"]
    assert (folder / "copy_digits-7").read_text() == "mine"
    lines = (folder / "copy_digits-12").read_bytes().split(b"\n")
    assert len(lines) == 4 and lines[1] == lines[3] == b""
    # As old as the checkpoint, for curves over time.
    assert (folder / "copy_digits-12").stat().st_mtime == 1e9


def test_early_checkpoints_can_be_left_out(translate):
    assert os.listdir(translate("--min_steps=13")) == []


def test_a_checkpoint_that_is_not_listed_yet_is_left_out(translate, tmp_path):
    shutil.copyfile(
        tmp_path / "run" / "ckpt-7.index", tmp_path / "run" / "ckpt-20.index"
    )

    assert os.listdir(translate("--min_steps=13")) == []


def test_a_checkpoint_may_be_deleted_meanwhile(
    translate, tmp_path, monkeypatch, caplog
):
    def decode(argv):
        for path in (tmp_path / "run").glob("ckpt-7.*"):
            path.unlink()
        raise OSError("'ckpt-7' is damaged: a file is missing")

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "copy_digits-12").write_text("mine")
    monkeypatch.setattr(t2t_decoder, "main", decode)

    translate()

    assert "ckpt-7' was deleted before it could be decoded with" in caplog.text


def test_a_damaged_checkpoint_does_not_stop_the_others(translate, tmp_path, caplog):
    (data,) = (tmp_path / "run").glob("ckpt-7.data-*")
    data.write_bytes(data.read_bytes()[:100])

    with pytest.raises(OSError, match="1 of 2 are damaged: .*ckpt-7"):
        translate()

    assert os.listdir(tmp_path / "out") == ["copy_digits-12"]
    assert "ckpt-7' is damaged" in caplog.text


def test_a_source_that_does_not_exist_is_named(translate, tmp_path):
    with pytest.raises(FileNotFoundError, match="--source must be a file .*'no.txt'"):
        translate("--source=no.txt")
