import importlib.util
import os
import subprocess
import sys
import textwrap

import corpora
import pytest
import speech_corpora

from t2t_mm import registry
from t2t_mm.bin import flags as common_flags
from t2t_mm.bin import t2t_datagen
from t2t_mm.data import manifest

registry.import_registrations()

COMMAND = [sys.executable, "-m", "t2t_mm.bin.t2t_datagen"]


def _run(*arguments, **environment):
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
    )


def _main(*arguments):
    t2t_datagen.main(["t2t-datagen", *arguments])


def test_data_is_made_and_left_alone_the_second_time(tmp_path):
    arguments = ["--problem=copy_digits", f"--data_dir={tmp_path}", "--max_cases=9"]
    first = _run(*arguments)
    second = _run(*arguments)

    assert first.returncode == second.returncode == 0
    assert "making copy_digits: there are no records" in first.stderr
    assert "copy_digits is up to date" in second.stderr
    assert first.stdout == second.stdout == ""
    made = manifest.load("copy_digits", str(tmp_path))
    assert [files.index.count for files in made.splits.values()] == [9, 9, 9]


def test_help_names_every_flag():
    done = _run("--help")

    assert done.returncode == 0
    for flag in t2t_datagen.define_flags():
        assert f"{flag}: " in done.stdout


def test_a_misspelt_problem_is_answered_at_once_in_one_line(tmp_path):
    done = _run("--problem=copy_digit", f"--data_dir={tmp_path}")

    assert done.returncode == 2
    assert done.stderr.startswith(
        "t2t-datagen: error: No problem is named 'copy_digit'"
    )
    assert "'copy_digits'" in done.stderr
    assert done.stderr.count("\n") == 1


def _is_tfds(name, paths):
    """Returns whether a problem is read by TensorFlow Datasets, given some paths."""
    problem = registry.PROBLEMS.get(name)
    given = problem.corpus is not None and {name, problem.corpus.name} & paths.keys()
    return problem.tfds_name is not None and not given


def test_tensorflow_is_never_imported(tmp_path, monkeypatch):
    speech_corpora.put_on_path(monkeypatch, tmp_path / "corpora" / "bin")
    paths = corpora.make_all(tmp_path / "corpora")
    corpus_flags = [f"--corpus_path={name}={path}" for name, path in paths.items()]
    names = [name for name in registry.PROBLEMS.names() if not _is_tfds(name, paths)]
    script = f"""
        import sys
        from t2t_mm.bin import t2t_datagen
        arguments = ["--problem={",".join(names)}", "--max_cases=3"]
        arguments += ["--data_dir={tmp_path}"]
        t2t_datagen.main(["t2t-datagen", *arguments, *{corpus_flags}])
        assert "tensorflow" not in sys.modules
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--problem must name a problem. There are: "),
        (["--problem=copy_digits"], "--data_dir must be given"),
        (["--problem=nothing*", "--data_dir=x"], "No problem begins with 'nothing'"),
        (["copy_digits"], "There are flags only"),
        (["--no_such_flag"], "Unknown command line flag 'no_such_flag'"),
        (["--problem=copy_digits", "--max_cases=-1"], "--max_cases=-1"),
        (["--problem=copy_digits", "--num_workers=-1"], "--num_workers=-1"),
        (
            ["--problem=copy_digits", "--data_dir=x", "--corpus_path=wsj"],
            "must read NAME=PATH; got 'wsj'",
        ),
        (
            ["--problem=copy_digits", "--data_dir=x", "--corpus_path=no_such=y"],
            "No problem reads a corpus 'no_such'",
        ),
        (
            ["--problem=copy_digits", "--data_dir=x", "--exclude_problems=digits"],
            "leaves out all",
        ),
        (["--only_list", "--t2t_usr_dir=/nowhere"], "/nowhere/__init__.py"),
        (
            ["--problem=copy_digits", "--data_dir=x", "--beam_options=runner=Flink"],
            "need --runner=beam",
        ),
    ],
)
def test_a_mistake_is_explained(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["t2t-datagen", *arguments])

    with pytest.raises(SystemExit) as caught:
        t2t_datagen.run()

    error = capsys.readouterr().err
    assert caught.value.code == 2
    assert error.startswith("t2t-datagen: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_debug_shows_where_an_error_came_up(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["t2t-datagen", "--debug", "--problem=copy_digit"])

    with pytest.raises(LookupError):
        t2t_datagen.run()


def test_only_list_prints_names(capsys, tmp_path):
    _main("--only_list", "--problem=reverse*,copy_digits,copy-digits")

    assert capsys.readouterr().out == "reverse_digits\ncopy_digits\n"


def test_only_list_alone_prints_all(capsys):
    _main("--only_list")

    assert capsys.readouterr().out.split() == registry.PROBLEMS.names()


def test_excluded_problems_are_left_out(capsys):
    _main("--only_list", "--problems=copy*,reverse*", "--exclude_problems=rev")

    assert capsys.readouterr().out == "copy_digits\n"


def test_problems_are_made_in_processes_as_in_one(tmp_path):
    shared = ["--problem=copy_digits,reverse_digits", "--max_cases=5"]
    _main(*shared, f"--data_dir={tmp_path / 'one'}")
    _main(*shared, f"--data_dir={tmp_path / 'two'}", "--num_workers=2")

    for path in sorted((tmp_path / "one").iterdir()):
        assert (tmp_path / "two" / path.name).read_bytes() == path.read_bytes()


def test_the_seed_decides_the_records(tmp_path):
    _main("--problem=copy_digits", f"--data_dir={tmp_path}")
    before = manifest.load("copy_digits", str(tmp_path))
    _main("--problem=copy_digits", f"--data_dir={tmp_path}", "--random_seed=1")

    after = manifest.load("copy_digits", str(tmp_path))
    assert before.files()[0].crc32c != after.files()[0].crc32c


def test_verify_finds_a_flipped_bit(tmp_path):
    arguments = ["--problem=copy_digits", f"--data_dir={tmp_path}"]
    _main(*arguments)
    _main(*arguments, "--verify")
    path = tmp_path / "copy_digits-train-00000-of-00002"
    content = bytearray(path.read_bytes())
    content[30] ^= 1
    path.write_bytes(content)

    with pytest.raises(
        ValueError, match="train-00000-of-00002' must have the checksum"
    ):
        _main(*arguments, "--verify")


def test_without_beam_its_installation_is_explained(tmp_path):
    if importlib.util.find_spec("apache_beam") is not None:
        pytest.skip("Beam is installed")

    with pytest.raises(ValueError, match=r"pip install 't2t-mm\[beam\]'"):
        _main("--problem=copy_digits", f"--data_dir={tmp_path}", "--runner=beam")


def test_a_dry_run_prints_and_makes_nothing(capsys, tmp_path):
    _main("--problem=copy_digits", f"--data_dir={tmp_path / 'data'}", "--dry_run")

    out = capsys.readouterr().out
    assert out.startswith("copy_digits: would be made (there are no records)\n")
    assert out.endswith("Nothing was fetched, made or written.\n")
    assert list(tmp_path.iterdir()) == []


def test_verify_without_data_says_what_to_type(tmp_path):
    with pytest.raises(FileNotFoundError, match="t2t-datagen --problem=copy_digits"):
        _main("--problem=copy_digits", f"--data_dir={tmp_path}", "--verify")


@pytest.fixture
def usr_dir(tmp_path):
    folder = tmp_path / "my_t2t_problems"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        textwrap.dedent(
            """
            from t2t_mm import registry
            from t2t_mm.data import corpus as corpora
            from t2t_mm.data import text_problem

            @registry.register_problem("my_licensed")
            class Licensed(text_problem.Text2TextProblem):
                corpus = corpora.Corpus(
                    name="my_corpus", title="my lines", layout="a file."
                )
                vocab_type = "byte"

                def generate_samples(self, data_dir, tmp_dir, dataset_split):
                    with open(self.require_corpus_path()) as file:
                        for line in file:
                            yield {"inputs": line, "targets": line}
            """
        )
    )
    return str(folder)


def test_problems_of_the_user_read_their_corpus(tmp_path, usr_dir):
    corpus = tmp_path / "lines.txt"
    corpus.write_text("one\ntwo\n")
    arguments = ["--problem=my_licensed,copy_digits", f"--t2t_usr_dir={usr_dir}"]
    arguments += [f"--data_dir={tmp_path / 'data'}", "--max_cases=5"]

    failed = _run(*arguments)
    done = _run(*arguments, f"--corpus_path=my_corpus={corpus}", "--num_workers=2")

    assert failed.returncode == 2
    assert "1 of 2 problems failed. my_licensed: " in failed.stderr
    assert "--corpus_path=my_corpus=PATH." in failed.stderr
    assert "copy_digits test | 5 samples" in failed.stderr
    assert done.returncode == 0, done.stderr
    made = manifest.load("my_licensed", str(tmp_path / "data"))
    assert [files.index.count for files in made.splits.values()] == [2, 2, 2]


def test_a_corpus_is_not_given_twice():
    with pytest.raises(ValueError, match="given twice for 'a'"):
        common_flags.parse_corpus_paths(["a=b", "a=c"])
