import importlib
import pathlib
import re
import resource
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SUBPACKAGES = ("bin", "hparams", "problems")
SCRIPTS = dict(
    re.findall(
        r'"(t2t-[\w-]+) = (t2t_mm\.bin\.\w+):run"',
        (ROOT / "setup.py").read_text(encoding="utf-8"),
    )
)
MOST_CPU_SECONDS = 3.0  # importing TensorFlow takes more


def _run(*arguments, cwd=ROOT):
    """Runs Python; returns what it did and the CPU time of it in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.fixture
def wheel_like(tmp_path):
    """Returns a folder with t2t_mm as a wheel has it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "t2t_mm", tmp_path / "t2t_mm", ignore=ignored)
    for name in SUBPACKAGES:
        shutil.copytree(ROOT / name, tmp_path / "t2t_mm" / name, ignore=ignored)
    return tmp_path


IMPORT = """
import sys
sys.path.insert(0, sys.argv[1])
import t2t_mm.bin.t2t_trainer, t2t_mm.hparams.multimodel, t2t_mm.problems.algorithmic
from t2t_mm import registry
registry.import_registrations()
registry.problem("copy_digits")
print(t2t_mm.__file__, t2t_mm.problems.algorithmic.__file__, sep="\\n")
"""


def test_names_import_in_a_checkout(tmp_path):
    done, _ = _run("-c", IMPORT, str(ROOT), cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [
        str(ROOT / "t2t_mm" / "__init__.py"),
        str(ROOT / "problems" / "algorithmic.py"),
    ]


def test_names_import_in_a_wheel(wheel_like):
    done, _ = _run("-c", IMPORT, str(wheel_like), cwd=wheel_like)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == [
        str(wheel_like / "t2t_mm" / "__init__.py"),
        str(wheel_like / "t2t_mm" / "problems" / "algorithmic.py"),
    ]


def test_every_folder_of_modules_is_a_package():
    for top in ("t2t_mm", *SUBPACKAGES):
        for module in (ROOT / top).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_the_commands_are_installed():
    assert sorted(SCRIPTS) == [
        "t2t-avg-checkpoints",
        "t2t-bleu",
        "t2t-datagen",
        "t2t-decoder",
        "t2t-eval",
        "t2t-extract",
        "t2t-report",
        "t2t-trainer",
        "t2t-translate-all",
    ]


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_command_has_an_entry_point(script):
    assert callable(importlib.import_module(SCRIPTS[script]).run)


HELP = """
import sys
from {package} import {module}
try:
    {module}.main(["{module}", "--help"])
except SystemExit as stop:
    assert stop.code == 0
assert "tensorflow" not in sys.modules
assert "matplotlib" not in sys.modules
"""


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_help_is_fast(script):
    package, module = SCRIPTS[script].rsplit(".", 1)

    done, seconds = _run("-c", HELP.format(package=package, module=module))

    assert done.returncode == 0, done.stderr
    assert script in done.stdout
    assert "--[no]debug" in done.stdout
    assert seconds < MOST_CPU_SECONDS


TRAINER_FOLDERS = ("--data_dir=x", "--output_dir=x")


@pytest.mark.parametrize(
    ("script", "arguments", "suggestion"),
    [
        ("t2t-datagen", ["--problem=copy_digit", "--data_dir=x"], "'copy_digits'"),
        (
            "t2t-trainer",
            ["--problem=copy_digit", "--hparams_set=multimodel_tiny", *TRAINER_FOLDERS],
            "'copy_digits'",
        ),
        (
            "t2t-trainer",
            ["--problem=copy_digits", "--hparams_set=multimodel_tni", *TRAINER_FOLDERS],
            "'multimodel_tiny'",
        ),
        (
            "t2t-decoder",
            ["--problem=copy_digit", "--output_dir=x", "--decode_from_file=x"],
            "'copy_digits'",
        ),
        (
            "t2t-extract",
            ["--problem=copy_digit", "--output_dir=x", "--to=y"],
            "'copy_digits'",
        ),
    ],
)
def test_a_misspelt_name_is_answered_fast(script, arguments, suggestion, tmp_path):
    done, seconds = _run("-m", SCRIPTS[script], *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith(f"{script}: error: ")
    assert f"Did you mean {suggestion}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert seconds < MOST_CPU_SECONDS
