import json

import pytest

from t2t_mm.bin import t2t_datagen, t2t_decoder, t2t_report, t2t_trainer

HPARAMS = (
    "batch_size=128,hidden_size=16,num_heads=2,moe_num_experts=3,moe_k=2,"
    "moe_filter_size=8,num_encoder_blocks=1,encoder_moe_after=1,num_decoder_blocks=1"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Returns the folders of records and of a run of four steps."""
    root = tmp_path_factory.mktemp("end_to_end")
    data_dir, output_dir = root / "data", root / "run"
    t2t_datagen.main(
        ["", "--problem=copy_digits", f"--data_dir={data_dir}", "--max_cases=40"]
    )
    t2t_trainer.main(
        [
            "",
            "--problem=copy_digits",
            "--model=multimodel",
            "--hparams_set=multimodel_tiny",
            f"--hparams={HPARAMS}",
            f"--data_dir={data_dir}",
            f"--output_dir={output_dir}",
            "--train_steps=4",
            "--eval_every_steps=2",
            "--log_every_steps=2",
            "--eval_steps=1",
        ]
    )
    return data_dir, output_dir


def test_a_run_leaves_a_checkpoint_and_a_history(folders):
    _, output_dir = folders

    lines = (output_dir / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]

    assert (output_dir / "ckpt-4.index").exists()
    assert (output_dir / "config.json").exists()
    assert [(row["split"], row["step"]) for row in rows] == [
        ("train", 2),
        ("dev", 2),
        ("train", 4),
        ("dev", 4),
    ]


def test_every_line_is_decoded(folders, tmp_path):
    _, output_dir = folders
    inputs, outputs = tmp_path / "inputs.txt", tmp_path / "outputs.txt"
    inputs.write_text("12\n\n3456\n")

    t2t_decoder.main(
        [
            "",
            "--problem=copy_digits",
            f"--output_dir={output_dir}",
            f"--decode_from_file={inputs}",
            f"--decode_to_file={outputs}",
        ]
    )

    lines = outputs.read_bytes().split(b"\n")
    assert len(lines) == 4
    assert lines[1] == lines[3] == b""


def test_a_report_shows_samples(folders, tmp_path, capsys):
    data_dir, output_dir = folders

    t2t_report.main(
        [
            "",
            f"--output_dir={output_dir}",
            f"--data_dir={data_dir}",
            f"--report_dir={tmp_path / 'report'}",
            "--samples=3",
            "--max_batches=1",
        ]
    )

    path = tmp_path / "report" / "index.html"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text().count('<td class="input">') == 3
    for picture in ("overview.png", "experts.png", "curves/copy_digits.png"):
        assert (tmp_path / "report" / picture).stat().st_size > 1000


def test_a_report_knows_its_run(folders):
    data_dir, output_dir = folders

    with pytest.raises(LookupError, match="did not train on reverse_digits. It knows"):
        t2t_report.main(
            [
                "",
                "--problem=reverse_digits",
                f"--output_dir={output_dir}",
                f"--data_dir={data_dir}",
            ]
        )
