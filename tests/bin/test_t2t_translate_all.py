import os
import pathlib

import pytest

from t2t_mm.bin import t2t_translate_all


@pytest.fixture
def translate(digits_run, tmp_path):
    """Returns a function that runs the command on a run with two checkpoints."""
    (tmp_path / "in.txt").write_text("12\n\n345\n")

    def translate(*flags):
        folders = [
            f"--output_dir={digits_run}",
            f"--translations_dir={tmp_path / 'out'}",
        ]
        source = f"--source={tmp_path / 'in.txt'}"
        options = "--decode_hparams=extra_length=2"
        t2t_translate_all.main(
            ["", "--problem=copy_digits", *folders, source, options, *flags]
        )
        return tmp_path / "out"

    return translate


def test_every_checkpoint_gets_a_file_unless_it_has_one(
    translate, digits_run, tmp_path
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "copy_digits-1").write_text("mine")

    folder = translate()

    assert sorted(os.listdir(folder)) == ["copy_digits-1", "copy_digits-2"]
    assert (folder / "copy_digits-1").read_text() == "mine"
    lines = (folder / "copy_digits-2").read_bytes().split(b"\n")
    assert len(lines) == 4 and lines[1] == lines[3] == b""
    # As old as the checkpoint, for curves over time.
    written = pathlib.Path(digits_run, "ckpt-2.index").stat().st_mtime
    assert (folder / "copy_digits-2").stat().st_mtime == pytest.approx(written)


def test_early_checkpoints_can_be_left_out(translate):
    assert os.listdir(translate("--min_steps=3")) == []


def test_a_source_that_does_not_exist_is_named(translate, tmp_path):
    with pytest.raises(FileNotFoundError, match="--source must be a file .*'no.txt'"):
        translate("--source=no.txt")
