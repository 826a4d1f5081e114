"""docs/migrating.md: its problem file runs after the change of imports it shows."""

import json
import re

import documents
import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_datagen, t2t_decoder, t2t_trainer
from t2t_mm.models import multimodel_hparams, transformer_hparams

DOCUMENT = "migrating.md"
TINY = (
    "hidden_size=16,num_heads=2,moe_num_experts=2,moe_k=1,max_buckets=1,"
    "num_encoder_blocks=1,num_mixer_blocks=0,num_decoder_blocks=1"
)


def _migrated():
    """Returns the file with the lines of the change taken out and put in."""
    source = documents.blocks(DOCUMENT, "python")[0]
    (change,) = documents.blocks(DOCUMENT, "diff")
    removed = re.findall(r"^-(.*\n)", change, re.MULTILINE)
    added = re.findall(r"^\+(.*\n)", change, re.MULTILINE)
    assert source.count("".join(removed)) == 1
    return source.replace("".join(removed), "".join(added))


def _flags(line):
    if line.startswith("t2t-trainer"):
        return ["--train_steps=2", "--eval_steps=1", f"--hparams={TINY}"]
    return ["--decode_to_file=sorted.txt"] if line.startswith("t2t-decoder") else []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registrations):
    """The folder in which all commands of the document have been run."""
    folder = tmp_path_factory.mktemp("migrating")
    (folder / "my_problems").mkdir()
    (folder / "my_problems" / "__init__.py").write_text(_migrated(), encoding="utf-8")
    with documents.reader_in(folder, ["my_problems"]):
        for block in documents.blocks(DOCUMENT, "sh"):
            for line in documents.lines(block):
                documents.run(line, _flags(line))
        yield folder


def test_only_imports_are_changed():
    (change,) = documents.blocks(DOCUMENT, "diff")

    assert all(
        re.match(r"[-+]from [\w.]+ import ", line) for line in change.splitlines()
    )
    assert "tensor2tensor" not in _migrated()


def _counts(folder, problem):
    manifest = json.loads((folder / "data" / f"{problem}.manifest.json").read_text())
    splits = manifest["splits"].items()
    return {name: [shard["count"] for shard in s["shards"]] for name, s in splits}


def test_splits_and_shards_are_as_the_file_says(folder):
    words = _counts(folder, "sort_words")
    pictures = _counts(folder, "image_bright_half")

    assert {split: (sum(n), len(n)) for split, n in words.items()} == {
        "train": (2000, 4),
        "dev": (100, 1),
    }
    assert {split: (sum(n), len(n)) for split, n in pictures.items()} == {
        "train": (500, 2),
        "dev": (50, 1),
    }
    assert (folder / "data" / "vocab.sort_words.512.subwords").exists()


def test_one_run_learns_both_problems(folder):
    rows = map(json.loads, (folder / "run" / "metrics.jsonl").read_text().splitlines())

    assert {row["problem"] for row in rows if row["split"] == "dev"} == {
        "sort_words",
        "image_bright_half",
    }
    assert len((folder / "sorted.txt").read_text().split("\n")) == 2


def test_classes_have_the_names_of_the_file(folder):
    problem = registry.problem("image_bright_half")

    assert problem.image_shape == (32, 32, 3)
    assert problem.decode_targets([1], "") == "right"


def _rows():
    """Returns the two cells of every row of the tables."""
    text = (documents.DOCS / DOCUMENT).read_text(encoding="utf-8")
    return re.findall(r"^\| (.*) \| (.*) \|$", text, re.MULTILINE)


def test_flags_it_names_exist():
    programs = (t2t_datagen, t2t_decoder, t2t_trainer)
    known = {flag for program in programs for flag in program.define_flags()}

    kept = " ".join(old for old, new in _rows() if new.startswith("the same"))
    ours = " ".join(new for _, new in _rows())
    named = set(re.findall(r"--([a-z_0-9]+)", f"{kept} {ours}"))

    assert len(named) > 25
    assert named <= known


def test_hparams_and_sets_it_names_exist(registrations):
    known = {
        *multimodel_hparams.MultiModelHParams.__dataclass_fields__,
        *transformer_hparams.TransformerHParams.__dataclass_fields__,
    }

    kept = " ".join(old for old, new in _rows() if new == "the same")
    ours = " ".join(new for _, new in _rows())
    prefixes = "max|batch|learning|moe|norm|attention|relu|label_s|clip|shared"
    for name in re.findall(rf"`((?:{prefixes})\w*_\w+)`", f"{kept} {ours}"):
        assert name in known
    for name in re.findall(r"`((?:multimodel|transformer)_\w+)`", ours):
        assert name in registry.HPARAMS.names()
