import pytest

from t2t_mm.bin import t2t_bleu


@pytest.fixture
def bleu(tmp_path, monkeypatch, capsys):
    """Returns a function that runs the command and returns its lines."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reference").write_text("a b a z\ny f g d k l m\n")
    (tmp_path / "output").write_text("a b a c\ne f g d\n")

    def bleu(*flags):
        t2t_bleu.main(["t2t-bleu", *flags])
        return capsys.readouterr().out.splitlines()

    return bleu


def test_a_file_is_scored_with_and_without_capitals(bleu, tmp_path):
    (tmp_path / "output").write_text("A b a c\ne f g d\n")

    lines = bleu("--translation=output", "--reference=reference")

    assert lines[0] == "BLEU_uncased =  34.36"
    assert lines[1].startswith("BLEU_cased = ") and lines[1] != "BLEU_cased =  34.36"
    flags = ("--translation=output", "--reference=reference", "--bleu_variant=uncased")
    assert bleu(*flags) == lines[:1]


def test_a_folder_is_scored_file_by_file_and_gone_on_with(bleu, tmp_path):
    folder = tmp_path / "translations"
    folder.mkdir()
    (folder / "ende-10").write_text("a b a c\ne f g d\n")
    (folder / "ende-5").write_text("a b a z\ny f g d k l m\n")
    flags = ("--translations_dir=translations", "--reference=reference")

    first = bleu(*flags, "--event_dir=events")
    (folder / "ende-15").write_text("a b a c\ne f g d\n")
    second = bleu(*flags, "--event_dir=events")

    assert first == [
        "translations/ende-5  BLEU_uncased = 100.00  BLEU_cased = 100.00",
        "translations/ende-10  BLEU_uncased =  34.36  BLEU_cased =  34.36",
    ]
    assert [line.split()[0] for line in second] == ["translations/ende-15"]
    assert (tmp_path / "events" / "last_evaluated_step.txt").read_text() == "15\n"
    assert len(list((tmp_path / "events").glob("*tfevents*"))) == 3
    assert len(bleu(*flags, "--min_steps=10")) == 2


def test_a_folder_without_new_files_says_so(bleu, tmp_path, caplog):
    (tmp_path / "translations").mkdir()
    (tmp_path / "translations" / "ende-10").write_text("a\nb\n")

    flags = ("--translations_dir=translations", "--reference=reference")
    assert bleu(*flags, "--min_steps=11") == []

    assert "'translations' has no file NAME-STEP of step 11 or later" in caplog.text


def test_a_file_that_does_not_exist_is_named(bleu):
    with pytest.raises(FileNotFoundError, match="--translations_dir must .*'no'"):
        bleu("--translations_dir=no", "--reference=reference")
    with pytest.raises(FileNotFoundError, match="--reference must be .*'no.txt'"):
        bleu("--translation=output", "--reference=no.txt")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--translation=output"], "--reference must be given"),
        (["--reference=reference"], "one of --translation and --translations_dir"),
        (
            ["--reference=reference", "--translation=output", "--min_steps=3"],
            "--min_steps has no effect without --translations_dir",
        ),
        (
            ["--reference=reference", "--translation=short"],
            "'short' must have as many lines as 'reference', 2; it has 1",
        ),
    ],
)
def test_mistakes_are_explained(bleu, tmp_path, flags, message):
    (tmp_path / "short").write_text("a b\n")

    with pytest.raises(ValueError, match=message):
        bleu(*flags)
