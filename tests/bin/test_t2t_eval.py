import json

import pytest
import tensorflow as tf

from t2t_mm.bin import t2t_eval


@pytest.fixture
def evaluate(untrained_run_dir, digits_dir, tmp_path, capsys):
    """Returns a function that runs the command and returns what it prints."""

    def evaluate(*flags):
        folders = [f"--output_dir={untrained_run_dir}", f"--data_dir={digits_dir}"]
        t2t_eval.main(["t2t-eval", *folders, f"--eval_dir={tmp_path}", *flags])
        return capsys.readouterr().out

    return evaluate


FLAGS = ("--problem=copy_digits", "--decode_hparams=extra_length=2", "--max_batches=1")


def test_what_is_found_is_printed_and_kept(evaluate, tmp_path):
    table = evaluate(*FLAGS, "--split=test")

    folder = tmp_path / "test" / "ckpt-7.extra_length=2.max_batches=1"
    names = [line.split()[1] for line in table.splitlines()[1:]]
    assert "decoded_bleu" in names and "teacher_forced_token_accuracy" in names
    assert (tmp_path / "test" / "table.txt").read_text() == table
    found = json.loads((folder / "copy_digits.json").read_text())
    assert found["scores"]["decoded_exact"]["interval"]["confidence"] == 0.95
    lines = (folder / "copy_digits.tsv").read_text().split("\n")[:-1]
    assert len(lines) == found["scores"]["decoded_exact"]["examples"]
    assert {line.count("\t") for line in lines} == {1}
    (events,) = (tmp_path / "summaries" / "test.extra_length=2.max_batches=1").iterdir()
    tags = {
        value.tag: float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    bleu = found["scores"]["decoded_bleu"]["value"]
    assert tags["copy_digits/decoded_bleu"] == pytest.approx(bleu, rel=1e-6)


@pytest.mark.parametrize(
    ("flags", "error", "message"),
    [
        (["--problem=reverse_digits"], LookupError, "did not train on reverse_digits"),
        (["--decode_hparams=extra=2"], ValueError, "Did you mean extra_length"),
        (
            ["--problem=copy_digits", "--checkpoint_path=no/ckpt-1"],
            FileNotFoundError,
            "no checkpoint 'no/ck",
        ),
        (["--problem=mnist"], FileNotFoundError, "No records of mnist"),
    ],
)
def test_mistakes_are_explained(evaluate, flags, error, message):
    with pytest.raises(error, match=message):
        evaluate(*flags)
