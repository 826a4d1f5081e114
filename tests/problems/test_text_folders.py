import gzip

import pytest
import text_corpora

from t2t_mm import registry
from t2t_mm.data import generation, manifest, options, splits
from t2t_mm.features import Split
from t2t_mm.problem import Rejected

registry.import_registrations()

NUMBERS = range(300)


def samples(name, path, split):
    problem = registry.problem(name)
    problem.corpus_path = str(path)
    return list(problem.generate_samples("", "", split))


def pairs(path, split):
    found = samples("text2text_folder", path, split)
    return [(sample["inputs"], sample["targets"]) for sample in found]


def write_pairs(folder, inputs_name, targets_name, numbers):
    text_corpora.write_lines(folder / inputs_name, (f"in {n}" for n in numbers))
    text_corpora.write_lines(folder / targets_name, (f"out {n}" for n in numbers))


def write_table(path, numbers):
    text_corpora.write_lines(path, (f"in {n}\tout {n}" for n in numbers))


def numbered(numbers):
    return [(f"in {n}", f"out {n}") for n in numbers]


def dealt(split):
    return [n for n in NUMBERS if splits.by_hash(f"in {n}") == split]


# Pairs.


@pytest.mark.parametrize("eval_word", ["dev", "eval", "valid", "validation"])
@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        ("{}.inputs.txt", "{}.targets.txt"),
        ("inputs.{}.txt", "targets.{}.txt"),
    ],
)
def test_parallel_files_are_pairs(tmp_path, inputs, targets, eval_word):
    words = {Split.TRAIN: "train", Split.EVAL: eval_word, Split.TEST: "test"}
    for number, word in enumerate(words.values()):
        write_pairs(tmp_path, inputs.format(word), targets.format(word), [number])

    for number, split in enumerate(words):
        assert pairs(tmp_path, split) == numbered([number])


def test_tables_and_parallel_files_may_be_mixed(tmp_path):
    write_pairs(tmp_path, "train.inputs.txt", "train.targets.txt", [1, 2])
    write_table(tmp_path / "dev.tsv", [3])
    (tmp_path / "test.tsv.gz").write_bytes(gzip.compress(b"in 4\tout 4\n"))

    found = {split: pairs(tmp_path, split) for split in Split}

    assert found[Split.TRAIN] == numbered([1, 2])
    assert found[Split.EVAL] == numbered([3])
    assert found[Split.TEST] == numbered([4])


def test_one_side_may_be_compressed(tmp_path):
    text_corpora.write_lines(tmp_path / "test.inputs.txt", ["in 1"])
    packed = gzip.compress(b"out 1\n")
    (tmp_path / "test.targets.txt.gz").write_bytes(packed)
    write_table(tmp_path / "train.tsv", [2])

    assert pairs(tmp_path, Split.TEST) == numbered([1])


def test_splits_without_files_are_taken_from_training(tmp_path):
    write_table(tmp_path / "train.tsv", NUMBERS)

    for split in Split:
        assert pairs(tmp_path, split) == numbered(dealt(split)) != []


def test_only_what_is_missing_is_taken_from_training(tmp_path):
    write_table(tmp_path / "train.tsv", NUMBERS)
    write_table(tmp_path / "test.tsv", [1000])

    assert pairs(tmp_path, Split.TEST) == numbered([1000])
    assert pairs(tmp_path, Split.EVAL) == numbered(dealt(Split.EVAL))
    not_dev = [n for n in NUMBERS if n not in dealt(Split.EVAL)]
    assert pairs(tmp_path, Split.TRAIN) == numbered(not_dev)


def test_a_table_alone_will_do(tmp_path):
    write_table(tmp_path / "mine.tsv", NUMBERS)

    assert pairs(tmp_path / "mine.tsv", Split.EVAL) == numbered(dealt(Split.EVAL))


def test_the_same_inputs_are_in_one_split(tmp_path):
    lines = [f"in {n % 50}\tout {n}" for n in range(500)]
    text_corpora.write_lines(tmp_path / "train.tsv", lines)

    inputs = [{first for first, _ in pairs(tmp_path, split)} for split in Split]

    assert sum(map(len, inputs)) == 50
    assert len(set.union(*inputs)) == 50


def test_bad_lines_are_told_once(tmp_path):
    lines = ["in 1\tout 1", "", "in 2"]
    text_corpora.write_lines(tmp_path / "train.tsv", lines)

    told = {
        split: [s for s in samples("text2text_folder", tmp_path, split)]
        for split in Split
    }

    rejected = [s for s in told[Split.TRAIN] if isinstance(s, Rejected)]
    assert [r.name for r in rejected] == ["train.tsv line 2", "train.tsv line 3"]
    assert [r.harmless for r in rejected] == [True, False]
    assert not any(isinstance(s, Rejected) for s in told[Split.EVAL])


def test_a_folder_without_training_text_gets_the_page_of_help(tmp_path):
    write_table(tmp_path / "pairs.tsv", [1])

    with pytest.raises(FileNotFoundError) as error:
        samples("text2text_folder", tmp_path, Split.TRAIN)

    assert "holds pairs.tsv" in str(error.value)
    assert "inputs.train.txt" in str(error.value)


def test_one_side_alone_is_refused(tmp_path):
    text_corpora.write_lines(tmp_path / "train.inputs.txt", ["in"])

    with pytest.raises(ValueError, match=r"only '.*train\.inputs\.txt'"):
        samples("text2text_folder", tmp_path, Split.TRAIN)


def test_two_texts_for_one_split_are_refused(tmp_path):
    write_table(tmp_path / "train.tsv", [1])
    write_table(tmp_path / "dev.tsv", [2])
    write_table(tmp_path / "eval.tsv", [3])

    with pytest.raises(ValueError, match=r"one text for dev.*dev\.tsv.*eval\.tsv"):
        samples("text2text_folder", tmp_path, Split.TRAIN)


def test_what_was_left_out_is_in_the_manifest(tmp_path):
    lines = [f"in {n}\tout {n}" for n in NUMBERS]
    lines[7] = ""
    lines[8] = "half a line"
    text_corpora.write_lines(tmp_path / "train.tsv", lines)
    cases = options.GenerationOptions(corpus_paths={"text2text_folder": str(tmp_path)})
    problem = registry.problem("text2text_folder")

    generation.generate(problem, str(tmp_path / "data"), str(tmp_path), cases)

    made = manifest.load("text2text_folder", str(tmp_path / "data"))
    assert "train.tsv line 9" in str(made.rejected)
    assert sum(files.index.count for files in made.splits.values()) == 298


# Language models.


def test_lines_of_all_text_files_are_samples(tmp_path):
    text_corpora.write_lines(tmp_path / "b.txt", ["b 1", "", "b 2"])
    text_corpora.write_lines(tmp_path / "a" / "c.txt", ["c 1"])
    text_corpora.write_lines(tmp_path / "notes.md", ["no"])
    (tmp_path / "a" / "d.txt.gz").write_bytes(gzip.compress(b"d 1\n"))

    found = [
        sample
        for split in Split
        for sample in samples("lm_text_folder", tmp_path, split)
    ]

    assert {s.get("targets"): s["name"] for s in found if isinstance(s, dict)} == {
        "c 1": "a/c.txt line 1",
        "d 1": "a/d.txt.gz line 1",
        "b 1": "b.txt line 1",
        "b 2": "b.txt line 3",
    }
    blank = Rejected(name="b.txt line 2", reason="blank line", harmless=True)
    assert [s for s in found if isinstance(s, Rejected)] == [blank]


@pytest.mark.parametrize("eval_word", ["dev", "eval", "valid", "validation"])
def test_folders_may_be_the_splits(tmp_path, eval_word):
    for word in ("train", eval_word, "test"):
        text_corpora.write_lines(tmp_path / word / "x" / "a.txt", [word])
    text_corpora.write_lines(tmp_path / "other.txt", ["other"])

    found = [samples("lm_text_folder", tmp_path, split) for split in Split]

    assert [[s["targets"] for s in of_split] for of_split in found] == [
        ["train"],
        [eval_word],
        ["test"],
    ]


def test_lines_are_dealt_to_splits_by_their_text(tmp_path):
    lines = [f"line {n}" for n in NUMBERS]
    text_corpora.write_lines(tmp_path / "a.txt", lines)

    for split in Split:
        found = [s["targets"] for s in samples("lm_text_folder", tmp_path, split)]
        assert found == [line for line in lines if splits.by_hash(line) == split]


def test_paragraphs_are_samples_of_broken_lines(tmp_path):
    text_corpora.write_lines(tmp_path / "train" / "a.txt", ["It", "is.", "", "Two."])
    (tmp_path / "train" / "b.txt").write_bytes(b"Three\r\nmore")
    text_corpora.write_lines(tmp_path / "dev" / "a.txt", ["dev"])
    text_corpora.write_lines(tmp_path / "test" / "a.txt", ["test"])

    found = samples("lm_paragraphs_folder", tmp_path, Split.TRAIN)

    assert [s["targets"] for s in found] == ["It is.", "Two.", "Three more"]


def test_one_file_is_text_too(tmp_path):
    path = tmp_path / "book"
    text_corpora.write_lines(path, [f"line {n}" for n in NUMBERS])

    assert len(samples("lm_text_folder", path, Split.TRAIN)) > 200


def test_a_folder_without_text_gets_the_page_of_help(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"--corpus_path=lm_text_folder=PATH"):
        samples("lm_text_folder", tmp_path, Split.TRAIN)


def test_a_language_model_has_targets_only(tmp_path):
    text_corpora.write_lines(tmp_path / "a.txt", [f"line {n}" for n in NUMBERS])
    cases = options.GenerationOptions(corpus_paths={"lm_text_folder": str(tmp_path)})
    problem = registry.problem("lm_text_folder")
    data_dir = str(tmp_path / "data")

    generation.generate(problem, data_dir, data_dir, cases)

    assert set(problem.feature_specs(data_dir)) == {"targets"}
    assert set(problem.encode({"targets": "line 1"}, data_dir)) == {"targets"}
    with pytest.raises(ValueError, match="lm_text_folder .* has no inputs"):
        problem.encode_inputs("line 1", data_dir)
