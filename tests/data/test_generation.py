import json
import os
import random
import resource

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from t2t_mm import problem
from t2t_mm.data import (
    chunks,
    generation,
    manifest,
    options,
    records,
    shard_writer,
    text_problem,
    vocabulary,
)
from t2t_mm.data import corpus as corpora
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
        if (folder / name).is_file() and not name.startswith(".")
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


def test_a_failure_leaves_the_old_data(tmp_path):
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

    with pytest.raises(
        ValueError, match="1 of 2 samples of bad train are bad"
    ) as error:
        _generate(Bad(), tmp_path)

    assert "must be a str; got int (such as 'sample 1 of train')" in str(error.value)


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

    assert fields["format"] == 2
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


# Chunks, processes, interruptions.


@pytest.fixture
def few_open_files():
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 32, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "MAX_SAMPLES", 7)


def test_chunks_processes_and_pieces_do_not_change_the_data(tmp_path, monkeypatch):
    _generate(algorithmic.CopyDigits(), tmp_path / "one")
    monkeypatch.setattr(chunks, "MAX_SAMPLES", 64)
    monkeypatch.setattr(shard_writer, "PIECE_BYTES", 1000)

    _generate(algorithmic.CopyDigits(), tmp_path / "two", num_workers=2)

    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_more_chunks_than_a_process_may_have_open_files(
    tmp_path, small_chunks, few_open_files
):
    made = _generate(_Digits(), tmp_path)

    assert made.splits[Split.TRAIN].index.count == 2000  # 286 chunks


def test_the_order_is_one_of_the_whole_split(tmp_path):
    class Numbers(_Words):
        vocab_type = "byte"

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            for number in range(2000):
                yield {"inputs": f"{number}", "targets": f"{number}"}

    _generate(Numbers(), tmp_path)

    numbers = [int(line) for line in _read_targets("some_words", tmp_path)]
    assert sorted(numbers) == list(range(2000))
    # Each shard has early and late samples, and neighbours are unrelated: the mean
    # distance of two random numbers below 2000 is 667, of 1999 pairs within 40.
    assert np.mean(np.abs(np.diff(numbers))) == pytest.approx(667, abs=40)


def _read_targets(name, folder):
    reader = records.RecordReader(name, Split.TRAIN, str(folder))
    for row in range(len(reader.index)):
        example = tf.train.Example.FromString(reader.read(row))
        ids = example.features.feature["targets"].int64_list.value
        yield bytes(i - 2 for i in ids[:-1]).decode()


class _Interrupted(_Words):
    vocab_type = "byte"
    interrupt_at = 30
    encoded: list[str] = []

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(40):
            if number == self.interrupt_at:
                raise KeyboardInterrupt
            yield {"inputs": f"{number}", "targets": "same"}

    def encode(self, sample, data_dir):
        self.encoded.append(sample["inputs"])
        return super().encode(sample, data_dir)


class _Whole(_Interrupted):
    interrupt_at = -1


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, small_chunks):
    _generate(_Whole(), tmp_path / "expected")
    _Interrupted.encoded.clear()
    with pytest.raises(KeyboardInterrupt):
        _generate(_Interrupted(), tmp_path / "data")
    finished = list(_Interrupted.encoded)
    _Interrupted.encoded.clear()

    _generate(_Whole(), tmp_path / "data")

    assert finished == [str(number) for number in range(28)]  # four whole chunks
    assert _Interrupted.encoded[:12] == [str(number) for number in range(28, 40)]
    assert _contents(tmp_path / "data") == _contents(tmp_path / "expected")
    assert not (tmp_path / "data" / "some_words.incomplete").exists()


def test_other_settings_do_not_go_on_with_what_was_begun(tmp_path, small_chunks):
    with pytest.raises(KeyboardInterrupt):
        _generate(_Interrupted(), tmp_path)
    _Interrupted.encoded.clear()

    _generate(_Whole(), tmp_path, random_seed=7)

    assert len(_Interrupted.encoded) == 3 * 40


class _Parts(_Words):
    """Three files, of which each makes ten samples."""

    vocab_type = "byte"

    def sample_parts(self, data_dir, tmp_dir, dataset_split):
        return ["a", "b", "c"]

    def generate_part(self, data_dir, tmp_dir, dataset_split, part):
        for number in range(10):
            yield {"inputs": f"{part}{number}", "targets": f"{part}{number}"}

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        raise AssertionError("parts are asked for")


def test_parts_are_all_generated_in_any_number_of_processes(tmp_path):
    _generate(_Parts(), tmp_path / "one")
    _generate(_Parts(), tmp_path / "two", num_workers=2)

    names = sorted(_read_targets("some_words", tmp_path / "one"))
    assert names == [f"{part}{number}" for part in "abc" for number in range(10)]
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_max_cases_counts_over_all_parts(tmp_path):
    _generate(_Parts(), tmp_path, max_cases=12)

    names = sorted(_read_targets("some_words", tmp_path))
    assert names == [f"a{number}" for number in range(10)] + ["b0", "b1"]


# Bad samples.


class _Rejecting(_Words):
    vocab_type = "byte"
    num_blank = 0
    num_bad = 0

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(self.num_blank):
            name = f"line {number}"
            yield problem.Rejected(name=name, reason="blank line", harmless=True)
        for number in range(self.num_bad):
            yield {"inputs": 7, "targets": "x", "name": f"number {number}"}
        for number in range(200):
            yield {"inputs": f"{number}", "targets": "x"}


def test_what_is_rejected_is_counted_by_reason_and_named(tmp_path):
    class Some(_Rejecting):
        num_blank, num_bad = 50, 2

    made = _generate(Some(), tmp_path)

    assert made.splits[Split.TRAIN].index.count == 200
    assert made.rejected["train"] == {
        "A text of some_words must be a str; got int.": [
            2,
            ["number 0", "number 1"],
            False,
        ],
        "blank line": [50, ["line 0", "line 1", "line 2"], True],
    }
    assert manifest.load("some_words", str(tmp_path)) == made


def test_more_bad_samples_than_allowed_are_an_error(tmp_path):
    class Bad(_Rejecting):
        num_bad = 4

    with pytest.raises(ValueError, match="4 of 204 samples .*--max_bad_percent=1"):
        _generate(Bad(), tmp_path)

    assert _generate(Bad(), tmp_path, max_bad_percent=2.0).rejected


def test_a_hopeless_corpus_is_refused_before_its_end(tmp_path, small_chunks):
    class Hopeless(_Rejecting):
        num_bad = 100_000

    with pytest.raises(ValueError, match=r"samples of some_words train so far are bad"):
        _generate(Hopeless(), tmp_path)


def test_a_missing_key_is_named_with_what_there_is(tmp_path):
    class Typo(_Words):
        vocab_type = "byte"

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            yield {"inputs": "a", "target": "b"}

    with pytest.raises(ValueError, match=r"there is no 'targets' among \['inputs', 't"):
        _generate(Typo(), tmp_path)


# Vocabularies of the user's choice.


def test_the_user_chooses_the_vocabulary_and_data_remembers_it(tmp_path):
    spec = vocabulary.declare("joint", 290, [_Words()], str(tmp_path))

    chosen = _generate(_Words(), tmp_path, vocabulary=spec)
    again = _generate(_Words(), tmp_path)
    back = _generate(_Words(), tmp_path, vocabulary="default")

    assert chosen.vocabulary.file == "vocab.joint.290.subwords"
    assert again == chosen
    assert back.vocabulary.file == "vocab.some_words.300.subwords"


def test_text_can_be_bytes(tmp_path):
    made = _generate(_Words(), tmp_path, vocabulary="bytes")

    read = _Words()
    vocabulary.choose(read, str(tmp_path), choice=None)
    assert made.vocabulary is None
    assert read.inputs_spec(str(tmp_path)).vocabulary == "bytes"
