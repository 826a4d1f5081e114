import os
import shutil

import pytest

from t2t_mm.bin import t2t_decoder, t2t_translate_all


@pytest.fixture
def translate(untrained_run_dir, tmp_path):
    """Returns a function that runs the command on a run with two checkpoints."""
    run = tmp_path / "run"
    shutil.copytree(untrained_run_dir, run)
    for path in list(run.glob("ckpt-7.*")):
        shutil.copyfile(path, str(path).replace("ckpt-7.", "ckpt-12."))
    os.utime(run / "ckpt-12.index", (1e9, 1e9))
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


def test_a_checkpoint_that_is_deleted_meanwhile_is_passed_over(
    translate, tmp_path, monkeypatch
):
    def decode(argv):
        (path,) = [flag.partition("=")[2] for flag in argv if "checkpoint_path" in flag]
        if path.endswith("-7"):
            os.remove(f"{path}.index")
            raise OSError(f"'{path}' is damaged")
        (tmp_path / "out" / "copy_digits-12").write_text("12\n")

    monkeypatch.setattr(t2t_decoder, "main", decode)

    assert os.listdir(translate()) == ["copy_digits-12"]


def test_early_checkpoints_can_be_left_out(translate):
    assert os.listdir(translate("--min_steps=13")) == []


def test_a_source_that_does_not_exist_is_named(translate, tmp_path):
    with pytest.raises(FileNotFoundError, match="--source must be a file .*'no.txt'"):
        translate("--source=no.txt")
