import json

import numpy as np
import pytest

from t2t_mm.bin import t2t_decoder
from t2t_mm.data import images
from t2t_mm.decoding import loading, output_scorer

CONTENT = b"12\n\n345\n"


def _run(run_dir, *flags, options="extra_length=3"):
    t2t_decoder.main(
        [
            "t2t-decoder",
            "--problem=copy_digits",
            f"--output_dir={run_dir}",
            *([f"--decode_hparams={options}"] if options else []),
            *flags,
        ]
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "in.txt"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def outputs(untrained_run_dir, source):
    """What the file gives."""
    target = source.parent / "out.txt"
    _run(
        untrained_run_dir, f"--decode_from_file={source}", f"--decode_to_file={target}"
    )
    return target.read_text()


def test_a_file_gives_a_line_for_a_line(outputs):
    first, second, third, rest = outputs.split("\n")

    assert (second, rest) == ("", "")
    assert first and third


def test_several_outputs_stand_side_by_side(untrained_run_dir, source, capsys):
    _run(
        untrained_run_dir,
        f"--decode_from_file={source}",
        options="beam_size=3,return_beams=true,extra_length=2,write_beam_scores=true",
    )

    first, second, third = capsys.readouterr().out.splitlines()
    assert second == ""
    for line in (first, third):
        columns = line.split("\t")
        assert len(columns) == 6
        scores = [float(column) for column in columns[1::2]]
        assert scores == sorted(scores, reverse=True)


def test_asked_for_inputs_it_answers_until_an_empty_line(
    untrained_run_dir, outputs, monkeypatch, capsys
):
    asked = iter(["12", "345", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(asked))

    _run(untrained_run_dir, "--decode_interactive")

    assert capsys.readouterr().out == outputs.replace("\n\n", "\n")


def test_outputs_of_a_file_are_scored(untrained_run_dir, tmp_path, capsys):
    model = loading.load_model(untrained_run_dir)
    scorer = output_scorer.OutputScorer(
        model, loading.problem_of(model, "copy_digits", ""), vocab_dir=untrained_run_dir
    )
    first, second = scorer.score(["12", "3"], ["12", "4\t5"])
    source = tmp_path / "scored.tsv"
    source.write_text("12\t12\nno tab\n3\t4\t5\n")

    _run(untrained_run_dir, f"--score_file={source}", options=None)
    text = capsys.readouterr().out.splitlines()
    _run(
        untrained_run_dir,
        f"--score_file={source}",
        "--output_format=jsonl",
        options=None,
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert text[1] == "" and "loss" not in rows[1]
    for line, row, expected in ((0, 0, first), (2, 2, second)):
        loss = -expected.log_probability / expected.num_ids
        assert float(text[line]) == pytest.approx(loss, abs=1e-4)
        assert rows[row]["loss"] == pytest.approx(loss, abs=1e-4)
        assert rows[row]["num_ids"] == expected.num_ids


def test_a_class_that_does_not_exist_stops_no_other_line(
    untrained_run_dir, tmp_path, capsys, caplog
):
    picture = tmp_path / "picture.png"
    picture.write_bytes(images.encode_png(np.zeros([28, 28, 1], np.uint8)))
    source = tmp_path / "scored.tsv"
    source.write_text(f"{picture}\tten\n{picture}\t3\n")

    _run(untrained_run_dir, "--problem=mnist", f"--score_file={source}", options=None)

    first, second = capsys.readouterr().out.splitlines()
    assert first == "" and float(second) > 0
    assert "Line 1: There is no class 'ten'" in caplog.text


def test_several_checkpoints_decode_together(
    untrained_run_dir, source, outputs, capsys
):
    newest = f"{untrained_run_dir}/ckpt-7"

    _run(
        untrained_run_dir,
        f"--decode_from_file={source}",
        f"--checkpoint_path={newest},{newest}",
    )

    assert capsys.readouterr().out == outputs  # the mean of the same is the same


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "One of --decode_from_file, --decode_interactive, --score_file and --spl"),
        (["--split=dev"], "--data_dir must be given"),
        (["--decode_interactive", "--max_batches=2"], "no effect without --split"),
        (["--decode_interactive", "--batches_at_once=2"], "no effect with --decode_in"),
        (["--score_file=x", "--batches_at_once=1"], "no effect with --score_file"),
        (["--decode_interactive", "--decode_to_file=x"], "--decode_to_file has no"),
        (
            ["--decode_interactive", "--decode_hparams=extra_lenght=2"],
            "Did you mean extra_length",
        ),
        (["--decode_interactive", "--decode_hparams=shards=2"], "There is no `shards`"),
        (["--score_file=x", "--decode_hparams=beam_size=2"], "searches for none"),
        (["--decode_interactive", "--decode_hparams=constrained=true"], "has none"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(
    untrained_run_dir, flags, message
):
    with pytest.raises(ValueError, match=message):
        _run(untrained_run_dir, *flags, options=None)


def test_a_file_that_does_not_exist_is_named(untrained_run_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.txt"):
        _run(untrained_run_dir, f"--decode_from_file={tmp_path}/nothing.txt")


def test_attention_needs_json(untrained_run_dir, source, capsys):
    options = "extra_length=2,return_attention=true"
    arguments = (untrained_run_dir, f"--decode_from_file={source}")

    with pytest.raises(ValueError, match="needs --output_format=jsonl"):
        _run(*arguments, options=options)
    _run(*arguments, "--output_format=jsonl", options=options)

    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(answer["results"]) for answer in answers] == [1, 0, 1]
    for answer in (answers[0], answers[2]):
        (result,) = answer["results"]
        (weights,) = result["attention"].values()
        assert len(weights) == len(result["ids"])
        assert len(weights[0]) == len(answer["input"]) + 1
