import collections

import parsing_corpora
import pytest

from t2t_mm import registry
from t2t_mm.data import generation, splits
from t2t_mm.data.options import GenerationOptions
from t2t_mm.features import Split


def _samples(name, path, split):
    problem = registry.problem(name)
    problem.corpus_path = str(path)
    return list(problem.generate_samples("", "", split))


def _inputs(name, path, split):
    return [sample["inputs"] for sample in _samples(name, path, split)]


def _sentences(rows):
    return [parsing_corpora.sentence(**row) for row in rows]


def test_a_sample_is_words_and_symbols_by_name(tmp_path):
    parsing_corpora.write_penn_treebank(tmp_path)

    first, second = _samples("wsj_parsing", tmp_path, Split.EVAL)

    assert first == {
        "name": "parsed/mrg/wsj/22/wsj_2201.mrg line 2",
        "inputs": parsing_corpora.sentence(**parsing_corpora.SENTENCES[44]),
        "targets": parsing_corpora.SYMBOLS,
    }
    assert second["name"] == "parsed/mrg/wsj/22/wsj_2201.mrg line 11"


@pytest.mark.parametrize("capitals", [False, True])
@pytest.mark.parametrize("folder", ["", "disc/treebank_3"])
def test_sections_of_the_penn_treebank_make_the_splits(tmp_path, folder, capitals):
    parsing_corpora.write_penn_treebank(tmp_path / folder, capitals=capitals)

    for split, first, last in [
        (Split.TRAIN, 2, 21),
        (Split.EVAL, 22, 22),
        (Split.TEST, 23, 23),
    ]:
        rows = parsing_corpora.SENTENCES[2 * first : 2 * last + 2]
        assert _inputs("wsj_parsing", tmp_path, split) == _sentences(rows)


def test_missing_sections_are_named(tmp_path):
    parsing_corpora.write_penn_treebank(tmp_path, sections=range(0, 22))

    with pytest.raises(FileNotFoundError, match="missing: 22, 23. wsj_parsing is made"):
        _samples("wsj_parsing", tmp_path, Split.TRAIN)


def test_a_sample_of_the_penn_treebank_is_for_treebank_folder(tmp_path):
    folder = tmp_path / "treebank" / "combined"
    for number in range(1, 100):
        rows = parsing_corpora.SENTENCES[number : number + 1]
        parsing_corpora.write(
            folder / f"wsj_{number:04}.mrg", parsing_corpora.PENN, rows
        )

    with pytest.raises(FileNotFoundError, match="NLTK's [^.]* treebank_folder"):
        _samples("wsj_parsing", tmp_path, Split.TRAIN)
    assert len(_samples("treebank_folder", tmp_path, Split.TRAIN)) > 70


def test_two_copies_of_a_file_are_refused(tmp_path):
    parsing_corpora.write_penn_treebank(tmp_path / "one")
    parsing_corpora.write_penn_treebank(tmp_path / "two", capitals=True)

    with pytest.raises(
        ValueError, match="'one/.*wsj_0001.mrg' and 'two/.*WSJ_0001.MRG'"
    ):
        _samples("wsj_parsing", tmp_path, Split.TRAIN)


def test_a_folder_without_splits_is_dealt_by_a_hash_of_the_words(tmp_path):
    rows = parsing_corpora.SENTENCES
    parsing_corpora.write(tmp_path / "all.mrg", parsing_corpora.PENN, rows)
    parsing_corpora.write(tmp_path / "again.mrg", parsing_corpora.PENN, rows)

    found = {split: _inputs("treebank_folder", tmp_path, split) for split in Split}

    counts = collections.Counter(sum(found.values(), []))
    assert counts == {sentence: 2 for sentence in _sentences(rows)}
    for split, sentences in found.items():
        assert {splits.by_hash(sentence) for sentence in sentences} == {split}


@pytest.mark.parametrize(
    "names",
    [
        ("train/a.mrg", "dev/a.mrg", "test/a.mrg"),
        ("training/x/a", "valid/x/a", "test/x/a"),
        ("my-train.trees", "my-validation.trees", "my-test.trees"),
        ("corpus.TRAIN.1", "corpus.DEV", "corpus.TEST"),
    ],
)
def test_files_and_folders_are_named_for_splits(tmp_path, names):
    for number, name in enumerate(names):
        rows = parsing_corpora.SENTENCES[number : number + 1]
        parsing_corpora.write(tmp_path / name, parsing_corpora.PENN, rows)

    for number, split in enumerate(Split):
        rows = parsing_corpora.SENTENCES[number : number + 1]
        assert _inputs("treebank_folder", tmp_path, split) == _sentences(rows)


def test_a_split_without_a_name_is_taken_out_of_training(tmp_path):
    rows = parsing_corpora.SENTENCES
    parsing_corpora.write(tmp_path / "train.mrg", parsing_corpora.PENN, rows[5:])
    parsing_corpora.write(tmp_path / "dev.mrg", parsing_corpora.PENN, rows[:5])

    found = {split: _inputs("treebank_folder", tmp_path, split) for split in Split}

    assert found[Split.EVAL] == _sentences(rows[:5])
    assert sorted(found[Split.TRAIN] + found[Split.TEST]) == sorted(
        _sentences(rows[5:])
    )
    assert {splits.by_hash(words) for words in found[Split.TEST]} == {Split.TEST}
    assert 0 < len(found[Split.TEST]) < 20


def test_files_of_no_split_and_files_without_trees_are_left_out(tmp_path, caplog):
    caplog.set_level("INFO")
    rows = parsing_corpora.SENTENCES
    parsing_corpora.write(tmp_path / "train.mrg", parsing_corpora.PENN, rows)
    parsing_corpora.write(tmp_path / "more.mrg", parsing_corpora.PENN, rows)
    (tmp_path / "README-train.md").write_text("How this was made (by hand)")

    found = _inputs("treebank_folder", tmp_path, Split.TRAIN)

    assert 150 < len(found) < len(rows)
    assert "1 files are of no split and are left out, such as 'more.mrg'" in caplog.text


def test_a_folder_without_trees_says_what_it_must_hold(tmp_path):
    (tmp_path / "README.md").write_text("nothing here")

    with pytest.raises(FileNotFoundError, match="no trees to train on.*brackets"):
        _samples("treebank_folder", tmp_path, Split.TRAIN)


def test_every_symbol_of_the_penn_treebank_has_one_id(tmp_path):
    problem = registry.problem("treebank_folder")
    spec = problem.vocabulary_spec

    assert " /NP" in spec.reserved_tokens
    assert " PRP$" in spec.reserved_tokens
    assert all(token.startswith(" ") for token in spec.reserved_tokens)


def test_a_bad_tree_is_counted_by_name(tmp_path):
    rows = parsing_corpora.SENTENCES
    parsing_corpora.write(tmp_path / "trees" / "good.mrg", parsing_corpora.PENN, rows)
    (tmp_path / "trees" / "one.mrg").write_text(
        "( (NP (NN New York)))\n( (NP (-NONE- *)))\n"
    )
    options = GenerationOptions(
        corpus_paths={"treebank_folder": str(tmp_path / "trees")}
    )

    made = generation.generate(
        registry.problem("treebank_folder"),
        str(tmp_path / "data"),
        str(tmp_path / "tmp"),
        options,
    )

    assert made.rejected == {
        "train": {
            "nothing but traces": [1, ["one.mrg line 2"], True],
            "two words with one tag": [1, ["one.mrg line 1"], False],
        }
    }
