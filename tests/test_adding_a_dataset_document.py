"""docs/adding_a_dataset.md, run as it stands but for the steps of training."""

import json
import pathlib
import re

import documents
import pytest

from t2t_mm import registry

DOCUMENT = "adding_a_dataset.md"
MAX_LINES = 60
TINY = (
    "hidden_size=16,num_heads=2,moe_num_experts=2,moe_k=1,max_buckets=1,"
    "num_encoder_blocks=1,num_mixer_blocks=0,num_decoder_blocks=1"
)
MAX_DECODED = 64


def _source(path):
    """Returns the block of Python that begins by naming its file."""
    for block in documents.blocks(DOCUMENT, "python"):
        first, _, rest = block.partition("\n")
        if first == f"# {path}":
            return rest
    raise AssertionError(f"{path} is not in {DOCUMENT}")


def _flags(line):
    if line.startswith("t2t-trainer"):
        return ["--train_steps=2", "--eval_steps=1", f"--hparams={TINY}"]
    if "--split=" in line:
        decoding = f"--decode_hparams=batch_size={MAX_DECODED},extra_length=1"
        return ["--max_batches=1", decoding]
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registrations):
    """The folder in which all commands of the document have been run."""
    folder = tmp_path_factory.mktemp("dates")
    (folder / "my_problems").mkdir()
    for path in ("make_dates.py", "my_problems/__init__.py"):
        (folder / path).write_text(_source(path), encoding="utf-8")
    with documents.reader_in(folder, ["my_problems"]):
        for block in documents.blocks(DOCUMENT, "sh"):
            for line in documents.lines(block):
                documents.run(line, _flags(line))
        yield folder


def test_the_file_is_short():
    assert len(_source("my_problems/__init__.py").splitlines()) <= MAX_LINES


def test_every_line_of_the_table_is_a_record_or_is_counted(folder):
    manifest = json.loads((folder / "data" / "iso_dates.manifest.json").read_text())

    counts = {
        name: split["index"]["count"] for name, split in manifest["splits"].items()
    }
    assert sum(counts.values()) == 4000
    assert 330 < counts["dev"] < 340 and 330 < counts["test"] < 340  # one file of 12
    assert manifest["rejected"] == {
        "all": {"a line without a tab": [1, ["line 4001"], False]}
    }


def test_a_split_is_decoded_beside_what_is_true(folder):
    *lines, end = (folder / "test.tsv").read_text(encoding="utf-8").split("\n")

    assert end == ""
    assert 0 < len(lines) <= MAX_DECODED
    assert all(re.match(r"\d{4}-\d\d-\d\d\t", line) for line in lines)


def test_problems_that_need_no_code_exist():
    text = (documents.DOCS / DOCUMENT).read_text(encoding="utf-8")
    named = re.findall(r"`(\w+_folder\w*)`", text)

    assert len(named) > 4
    assert set(named) <= set(registry.PROBLEMS.names())


def test_the_classes_it_names_exist():
    text = (documents.DOCS / DOCUMENT).read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)\.(\w+)`", text, re.MULTILINE)

    assert len(named) == 6
    data = pathlib.Path(registry.__file__).parent / "data"
    for module, class_name in named:
        source = (data / f"{module}.py").read_text(encoding="utf-8")
        assert re.search(rf"^class {class_name}\b", source, re.MULTILINE)
