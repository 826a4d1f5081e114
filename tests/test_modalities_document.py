"""docs/modalities.md, run as it stands but for the size of the model."""

import json
import re

import documents
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_decoder, t2t_report

DOCUMENT = "modalities.md"
TRAINER_FLAGS = [
    "--hparams=hidden_size=32,num_heads=2,moe_num_experts=3,moe_k=2,moe_filter_size=16,"
    "num_encoder_blocks=1,num_mixer_blocks=0,num_decoder_blocks=1,"
    "learning_rate_constant=0.005,learning_rate_warmup_steps=50,"
    "max_buckets=1",
    "--log_every_steps=20",
]
TRAIN_STEPS = {"run_numbers": 150, "run_both": 10}


def _flags(line):
    if not line.startswith("t2t-trainer"):
        return []
    (run,) = [run for run in TRAIN_STEPS if f"--output_dir={run}" in line]
    return [*TRAINER_FLAGS, f"--train_steps={TRAIN_STEPS[run]}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registrations):
    """The folder in which all commands of the document have been run."""
    folder = tmp_path_factory.mktemp("modalities")
    (folder / "my_modalities").mkdir()
    (source,) = documents.blocks(DOCUMENT, "python")
    (folder / "my_modalities" / "__init__.py").write_text(source, encoding="utf-8")
    with documents.reader_in(folder, ["my_modalities"]):
        for block in documents.blocks(DOCUMENT, "sh"):
            for line in documents.lines(block):
                documents.run(line, _flags(line))
        yield folder


def _history(run, **wanted):
    rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if wanted.items() <= row.items()]


def _decode(capsys, problem, *arguments):
    capsys.readouterr()
    t2t_decoder.main(["", f"--problem={problem}", *arguments])
    return capsys.readouterr().out.splitlines()


def _numbers(lines):
    return np.array([line.split() for line in lines], float)


def test_the_loss_falls(folder):
    rows = _history(folder / "run_numbers", split="train")

    losses = [row["loss"] for row in rows]
    assert losses[-1] < 0.1 * losses[0]


def test_decoded_numbers_are_nearer_than_their_means(folder, capsys):
    lines = _decode(
        capsys,
        "digit_statistics",
        "--output_dir=run_numbers",
        "--data_dir=data",
        "--split=dev",
    )

    references, outputs = zip(*(line.split("\t") for line in lines), strict=True)
    references, outputs = _numbers(references), _numbers(outputs)
    error = np.abs(outputs - references).mean()
    floor = np.abs(references - references.mean(0)).mean()
    assert references.shape == (400, 2)
    assert error < 0.4 * floor
    (row,) = _history(folder / "run_numbers", split="dev")
    assert error == pytest.approx(row["mean_absolute_error"], abs=0.005)


def test_numbers_of_a_line_are_printed(folder, capsys):
    flags = ("--output_dir=run_numbers", "--decode_from_file=digits.txt")

    (line,) = _decode(capsys, "digit_statistics", *flags)

    assert re.fullmatch(r"-?\d\.\d\d -?\d\.\d\d", line)
    mean_and_deviation = [31 / 8, (173 / 8 - (31 / 8) ** 2) ** 0.5]
    np.testing.assert_allclose(_numbers([line])[0], mean_and_deviation, atol=1.0)


def test_numbers_and_texts_train_in_one_run(folder, capsys):
    run = folder / "run_both"

    (numbers,) = _history(run, split="dev", problem="digit_statistics")
    (texts,) = _history(run, split="dev", problem="copy_digits")

    assert "mean_absolute_error" in numbers and "accuracy" not in numbers
    assert "accuracy" in texts and "mean_absolute_error" not in texts
    flags = ("--output_dir=run_both", "--decode_from_file=digits.txt")
    assert len(_decode(capsys, "copy_digits", *flags)) == 1


def test_a_report_does_not_call_numbers_right_or_wrong(folder):
    t2t_report.main(
        [
            "",
            "--problem=digit_statistics",
            "--output_dir=run_numbers",
            "--data_dir=data",
            "--samples=3",
            "--max_batches=1",
        ]
    )

    page = (folder / "run_numbers" / "report" / "index.html").read_text()
    assert page.count('<td class="input">') == 3
    assert 'class="wrong"' not in page
    assert "exact" not in page


def test_a_run_of_a_modality_that_is_not_loaded_names_the_flag(folder, monkeypatch):
    for names in (registry.PROBLEMS, registry.MODALITIES):
        loaded = {
            name: entry
            for name, entry in names._entries.items()
            if entry.__module__ != "my_modalities"
        }
        monkeypatch.setattr(names, "_entries", loaded)
    flags = ["--output_dir=run_both", "--decode_from_file=digits.txt"]

    with pytest.raises(LookupError, match="'digit_statistics'.*with --t2t_usr_dir"):
        t2t_decoder.main(["", "--problem=digit_statistics", *flags])
    with pytest.raises(
        LookupError, match="modality is named 'real'.*--t2t_usr_dir=/.*my_modalities"
    ):
        t2t_decoder.main(["", "--problem=copy_digits", *flags])
