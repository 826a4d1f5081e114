"""docs/modalities.md, run as it stands but for the size of the model."""

import json
import pathlib
import re
import shlex
import sys

import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_datagen, t2t_decoder, t2t_report, t2t_trainer

DOCUMENT = pathlib.Path(__file__).parents[1] / "docs" / "modalities.md"
PROGRAMS = {
    "t2t-datagen": t2t_datagen,
    "t2t-decoder": t2t_decoder,
    "t2t-trainer": t2t_trainer,
}
TRAINER_FLAGS = [
    "--hparams=hidden_size=32,num_heads=2,moe_num_experts=3,moe_k=2,moe_filter_size=16,"
    "num_decoder_blocks=1,learning_rate_constant=0.005,learning_rate_warmup_steps=50,"
    "max_buckets=1",
    "--log_every_steps=20",
]
TRAIN_STEPS = {"run_numbers": 150, "run_both": 10}


def _blocks(language):
    text = DOCUMENT.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _run(line):
    program, *arguments = shlex.split(line)
    if program == "echo":
        *words, _, path = arguments
        pathlib.Path(path).write_text(" ".join(words) + "\n")
        return
    if program == "t2t-trainer":
        (run,) = [run for run in TRAIN_STEPS if f"--output_dir={run}" in arguments]
        arguments += [*TRAINER_FLAGS, f"--train_steps={TRAIN_STEPS[run]}"]
    PROGRAMS[program].main([program, *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registrations):
    """The folder in which all commands of the document have been run."""
    folder = tmp_path_factory.mktemp("modalities")
    (folder / "my_modalities").mkdir()
    (source,) = _blocks("python")
    (folder / "my_modalities" / "__init__.py").write_text(source, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        for names in (registry.PROBLEMS, registry.MODALITIES):
            patch.setattr(names, "_entries", dict(names._entries))
        for block in _blocks("sh"):
            for line in block.replace("\\\n", " ").splitlines():
                _run(line)
        yield folder
    sys.modules.pop("my_modalities")


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
