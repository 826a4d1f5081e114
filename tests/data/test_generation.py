import json
import os
import random

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from t2t_mm.data import corpus as corpora
from t2t_mm.data import generation, manifest, options, records, text_problem
from t2t_mm.features import Split
from t2t_mm.problems import algorithmic


class _Digits(algorithmic.CopyDigits):
    name = "some_digits"


class _Words(text_problem.Text2TextProblem):
    name = "some_words"
    approx_vocab_size = 300

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(40):
            yield {"inputs": f"{dataset_split} {number}", "targets": f"{number} words"}


class _OneStream(_Words):
    name = "one_stream"
    is_generate_per_split = False


def _generate(problem, folder, **settings):
    folder = str(folder)
    return generation.generate(
        problem, folder, folder, options.GenerationOptions(**settings)
    )


def _contents(folder):
    return {
        name: (folder / name).read_bytes()
        for name in sorted(os.listdir(folder))
        if not name.startswith(".")
    }


@pytest.fixture
def log_lines(monkeypatch):
    lines = []
    monkeypatch.setattr(
        logging, "info", lambda text, *values: lines.append(text % values)
    )
    return lines


def test_files_are_named_and_counted_in_the_manifest(tmp_path):
    made = _generate(_Digits(), tmp_path)

    assert {f.file for f in made.files()} | {"some_digits.manifest.json"} == set(
        _contents(tmp_path)
    )
    assert (tmp_path / "some_digits-train-00001-of-00002").stat().st_size == (
        made.splits[Split.TRAIN].shards[1].bytes
    )
    assert made.splits[Split.EVAL].index.count == 200
    assert manifest.load("some_digits", str(tmp_path)) == made


def test_values_of_another_type_than_record_types_says_are_refused(tmp_path):
    problem = _Digits()
    problem.record_types = {"inputs": "int64", "targets": "float32"}

    with pytest.raises(ValueError, match="'targets' is float32; the record has int64"):
        _generate(problem, tmp_path)


def test_tensorflow_reads_every_example(tmp_path):
    _generate(_Digits(), tmp_path)
    files = sorted(str(path) for path in tmp_path.glob("some_digits-train-*-of-*"))
    expected = {
        sample["inputs"] for sample in _Digits().generate_samples("", "", Split.TRAIN)
    }

    found = set()
    for record in tf.data.TFRecordDataset(files):
        example = tf.train.Example.FromString(record.numpy())
        ids = list(example.features.feature["inputs"].int64_list.value)
        assert ids[-1] == 1
        found.add(bytes(i - 2 for i in ids[:-1]).decode())

    assert found == expected


def test_the_index_finds_every_record(tmp_path):
    _generate(_Digits(), tmp_path)

    reader = records.RecordReader("some_digits", Split.EVAL, str(tmp_path))
    examples = [tf.train.Example.FromString(reader.read(row)) for row in range(200)]

    lengths = [len(e.features.feature["inputs"].int64_list.value) for e in examples]
    assert reader.index["inputs_length"].tolist() == lengths


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    _generate(_Words(), tmp_path / "first", random_seed=3)
    _generate(_Words(), tmp_path / "second", random_seed=3)

    assert _contents(tmp_path / "first") == _contents(tmp_path / "second")


def test_records_are_shuffled(tmp_path):
    _generate(_Words(), tmp_path)
    reader = records.RecordReader("some_words", Split.EVAL, str(tmp_path))
    words = _Words().text_encoder(str(tmp_path))

    texts = []
    for row in range(40):
        example = tf.train.Example.FromString(reader.read(row))
        ids = example.features.feature["inputs"].int64_list.value
        texts.append(words.decode(ids))

    assert texts != [f"dev {number}" for number in range(40)]
    assert set(texts) == {f"dev {number}" for number in range(40)}


def test_what_is_up_to_date_is_left_alone(tmp_path, log_lines):
    _generate(_Words(), tmp_path)
    before = {f: (tmp_path / f).stat().st_mtime_ns for f in _contents(tmp_path)}
    log_lines.clear()

    _generate(_Words(), tmp_path)

    assert before == {f: (tmp_path / f).stat().st_mtime_ns for f in _contents(tmp_path)}
    assert log_lines == [f"datagen | some_words is up to date in {tmp_path}"]


def _raise_version(folder):
    class Newer(_Words):
        generator_version = 2

    return Newer(), {}


def _other_seed(folder):
    return _Words(), {"random_seed": 5}


def _missing_shard(folder):
    (folder / "some_words-dev-00000-of-00001").unlink()
    return _Words(), {}


def _truncated_shard(folder):
    path = folder / "some_words-train-00003-of-00010"
    path.write_bytes(path.read_bytes()[:-1])
    return _Words(), {}


def _other_vocabulary(folder):
    path = folder / "vocab.some_words.300.subwords"
    path.unlink()
    (folder / "vocab.some_words.300.subwords.json").unlink()
    path.write_bytes(text_problem.text_encoder.build_subwords(["other text"], 280))
    return _Words(), {}


def _broken_manifest(folder):
    (folder / "some_words.manifest.json").write_text("{")
    return _Words(), {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_raise_version, "`generator_version` was 1 and is 2"),
        (_other_seed, "`random_seed` was 429459 and is 5"),
        (_missing_shard, "'some_words-dev-00000-of-00001' is missing"),
        (_truncated_shard, "'some_words-train-00003-of-00010' must have"),
        (_other_vocabulary, "`vocabulary` was "),
        (_broken_manifest, "cannot be read"),
    ],
)
def test_what_is_stale_is_made_again_with_a_reason(tmp_path, log_lines, change, reason):
    _generate(_Words(), tmp_path)
    problem, settings = change(tmp_path)
    log_lines.clear()

    made = _generate(problem, tmp_path, **settings)

    assert made.missing_or_resized(str(tmp_path)) == []
    assert made.verify(str(tmp_path)) == []
    assert any(reason in line for line in log_lines)


def test_other_shard_counts_leave_no_old_shards(tmp_path):
    class Fewer(_Words):
        @property
        def dataset_splits(self):
            return [{"split": Split.TRAIN, "shards": 3}]

    _generate(_Words(), tmp_path)
    _generate(Fewer(), tmp_path)

    shards = [name for name in _contents(tmp_path) if "-of-" in name]
    assert shards == [f"some_words-train-{s:05d}-of-00003" for s in range(3)]


def test_a_problem_whose_name_begins_the_same_is_not_touched(tmp_path):
    class Longer(_Words):
        name = "some_words_more"

    _generate(Longer(), tmp_path)
    before = _contents(tmp_path)

    _generate(_Words(), tmp_path)
    _generate(_Words(), tmp_path, random_seed=1)

    assert before.items() <= _contents(tmp_path).items()


class _Fails(_Words):
    generator_version = 2

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"inputs": "one", "targets": "sample"}
        raise RuntimeError("the source broke")


def test_a_failure_leaves_the_old_data_and_no_leftovers(tmp_path):
    _generate(_Words(), tmp_path)
    before = _contents(tmp_path)

    with pytest.raises(RuntimeError, match="the source broke"):
        _generate(_Fails(), tmp_path)

    assert _contents(tmp_path) == before


def test_a_failure_of_the_first_run_leaves_nothing_that_is_read(tmp_path):
    with pytest.raises(RuntimeError, match="the source broke"):
        _generate(_Fails(), tmp_path)

    with pytest.raises(FileNotFoundError, match="t2t-datagen --problem=some_words"):
        records.RecordReader("some_words", Split.TRAIN, str(tmp_path))


def test_leftovers_of_a_killed_run_are_not_read_and_go_away(tmp_path):
    expected = _generate(_Words(), tmp_path)
    whole = _contents(tmp_path)
    # Killed while files were being moved: no manifest, some shards, a work folder.
    (tmp_path / "some_words.manifest.json").unlink()
    (tmp_path / "some_words-train-00000-of-00010").write_bytes(b"half")
    (tmp_path / "some_words-train-00007-of-00012").write_bytes(b"older")
    (tmp_path / "some_words.incomplete").mkdir()
    (tmp_path / "some_words.incomplete" / "some_words-dev-00000-of-00001").touch()
    with pytest.raises(FileNotFoundError):
        records.RecordReader("some_words", Split.TRAIN, str(tmp_path))

    assert _generate(_Words(), tmp_path) == expected

    assert _contents(tmp_path) == whole


def test_two_runs_do_not_make_one_problem_at_a_time(tmp_path):
    class Reenters(_Words):
        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            _generate(_Words(), tmp_path)
            yield {}

    with pytest.raises(ValueError, match="Another process is making some_words"):
        _generate(Reenters(), tmp_path)


def test_max_cases_limits_every_split(tmp_path):
    made = _generate(_Words(), tmp_path, max_cases=7)

    assert [files.index.count for files in made.splits.values()] == [7, 7, 7]


def test_one_stream_is_dealt_over_all_splits(tmp_path):
    made = _generate(_OneStream(), tmp_path)

    counts = {split.value: files.index.count for split, files in made.splits.items()}
    assert counts == {"train": 32, "dev": 4, "test": 4}  # 40 samples over 12 shards


def test_an_empty_split_is_an_error_that_says_what_to_do(tmp_path):
    class OnlyTrains(_Words):
        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            if dataset_split == Split.TRAIN:
                yield {"inputs": "one", "targets": "sample"}

    with pytest.raises(ValueError, match="split dev .* leave dev out of"):
        _generate(OnlyTrains(), tmp_path)


def test_a_bad_sample_is_named(tmp_path):
    class Bad(algorithmic.CopyDigits):
        name = "bad"

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            yield {"inputs": "1", "targets": "1"}
            yield {"inputs": "1", "targets": 1}

    with pytest.raises(ValueError, match="Sample 1 of bad .*must be a str; got int"):
        _generate(Bad(), tmp_path)


def test_random_generators_are_seeded_for_each_split(tmp_path):
    class Random(_Digits):
        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            text = f"{random.random()} {np.random.random()}"
            seen.append(text)
            yield {"inputs": text, "targets": text}

    seen = []
    _generate(Random(), tmp_path / "first")
    _generate(Random(), tmp_path / "second")

    assert seen[:3] == seen[3:]
    assert len(set(seen)) == 3


def test_a_corpus_that_was_not_given_is_explained(tmp_path):
    class Licensed(_Digits):
        corpus = corpora.Corpus(name="wsj", title="the Treebank")

    with pytest.raises(FileNotFoundError, match="--corpus_path=wsj=PATH"):
        _generate(Licensed(), tmp_path)


def test_another_corpus_remakes_but_no_corpus_trusts_what_exists(tmp_path):
    class Licensed(_Digits):
        corpus = corpora.Corpus(name="lines", title="one line")

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            with open(os.path.join(self.require_corpus_path(), "text")) as file:
                text = file.read()
            yield {"inputs": text, "targets": text}

    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "text").write_text("first")
    paths = {"lines": str(corpus)}
    first = _generate(Licensed(), tmp_path / "data", corpus_paths=paths)
    assert _generate(Licensed(), tmp_path / "data") == first

    (corpus / "text").write_text("another")

    assert _generate(Licensed(), tmp_path / "data", corpus_paths=paths) != first


def test_the_manifest_is_plain_json(tmp_path):
    _generate(_Words(), tmp_path)

    fields = json.loads((tmp_path / "some_words.manifest.json").read_text())

    assert fields["format"] == 1
    assert fields["vocabulary"]["file"] == "vocab.some_words.300.subwords"
    assert fields["splits"]["train"]["shards"][0]["count"] == 4


def test_verify_names_the_file_with_a_flipped_bit(tmp_path):
    made = _generate(_Words(), tmp_path)
    path = tmp_path / "some_words-test-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)

    assert made.missing_or_resized(str(tmp_path)) == []
    (complaint,) = made.verify(str(tmp_path))
    assert "'some_words-test-00000-of-00001' must have the checksum" in complaint
