import itertools
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from t2t_mm import hparam
from t2t_mm.data import generation, pipeline, records, text_problem
from t2t_mm.features import FeatureSpec, Split
from t2t_mm.problems import algorithmic

PROBLEM = algorithmic.CopyDigits()


def _numpy(batch):
    return {name: value.numpy() for name, value in batch.items()}


def _assert_equal(first, second):
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def _rows_as_text(batch):
    return [
        PROBLEM.decode_targets(ids, "")
        for ids, length in zip(batch["inputs"], batch["inputs_length"], strict=True)
        if length
    ]


@pytest.fixture(scope="module")
def train(digits_dir):
    hparams = hparam.HParams(batch_size=512, max_buckets=3)
    return pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=7)


def test_batches_are_padded_ids_and_lengths(train):
    batch = _numpy(next(iter(train.dataset())))

    assert set(batch) == {"inputs", "inputs_length", "targets", "targets_length"}
    assert all(value.dtype == np.int32 for value in batch.values())
    for row in range(len(batch["inputs"])):
        length = batch["inputs_length"][row]
        assert batch["inputs"][row, length - 1] == 1  # the end of the sequence
        assert (batch["inputs"][row, : length - 1] > 1).all()
        assert not batch["inputs"][row, length:].any()
    np.testing.assert_array_equal(batch["inputs"], batch["targets"])


@pytest.mark.parametrize("start_in_epoch", [1, 5])
@pytest.mark.parametrize("epoch", [0, 2])
def test_any_batch_is_reached_directly(train, digits_dir, epoch, start_in_epoch):
    start = epoch * train.batches_per_epoch + start_in_epoch
    iterated = list(itertools.islice(train.dataset(), start, start + 3))
    hparams = hparam.HParams(batch_size=512, max_buckets=3)
    fresh = pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=7)

    jumped = list(itertools.islice(fresh.dataset(start), 3))

    for one, other in zip(iterated, jumped, strict=True):
        _assert_equal(_numpy(one), _numpy(other))


def test_a_far_batch_is_reached_at_once(train):
    assert len(next(iter(train.dataset(10**9)))["inputs"])


def test_an_epoch_holds_each_example_at_most_once_and_nearly_all(train):
    for epoch in (0, 1):
        first = epoch * train.batches_per_epoch
        rows = np.concatenate(
            [train.rows(first + n)[0] for n in range(train.batches_per_epoch)]
        )
        assert len(np.unique(rows)) == len(rows)
        assert len(rows) > 0.95 * train.num_examples
    assert train.num_examples == 2000


def test_epochs_and_seeds_have_their_own_order(train, digits_dir):
    hparams = hparam.HParams(batch_size=512, max_buckets=3)
    other = pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=8)

    def first_rows(batches, start):
        return [
            tuple(batches.rows(start + n)[0]) for n in range(train.batches_per_epoch)
        ]

    assert first_rows(train, 0) != first_rows(train, train.batches_per_epoch)
    assert first_rows(train, 0) != first_rows(other, 0)


def test_shapes_are_few_and_hold(train):
    shapes = {(s.batch_size, s.inputs_length, s.targets_length) for s in train.shapes()}

    found = set()
    for batch in train.dataset().take(train.batches_per_epoch):
        found.add((*batch["inputs"].shape, batch["targets"].shape[1]))

    assert found == shapes
    assert len(shapes) == 3
    assert all(size * max(x, y) <= 512 for size, x, y in shapes)
    assert all(x % 8 == y % 8 == 0 for _, x, y in shapes)


def test_there_is_an_example_batch_of_every_shape(train):
    for shape in train.shapes():
        batch = train.example_batch(shape)

        assert batch["inputs"].shape == (shape.batch_size, shape.inputs_length)
        assert (batch["inputs_length"].numpy() > 0).all()


def test_training_drops_what_is_too_long_and_says_so(digits_dir, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "info", lambda text, *v: lines.append(text % v))
    hparams = hparam.HParams(batch_size=64, max_target_length=9)

    batches = pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=0)

    index = records.RecordReader("copy_digits", Split.TRAIN, digits_dir).index
    kept = (index["targets_length"] <= 9).sum()
    assert batches.num_examples == kept
    assert any(f"leaving out {2000 - kept} of 2000" in line for line in lines)
    for batch in batches.dataset().take(5):
        assert batch["targets_length"].numpy().max() <= 9


def test_nothing_short_enough_is_an_error(digits_dir):
    hparams = hparam.HParams(max_input_length=1)

    with pytest.raises(ValueError, match="All 2000 .* `max_input_length` \\(1\\)"):
        pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=0)


def test_a_bucket_of_few_examples_gets_a_smaller_batch(digits_dir):
    hparams = hparam.HParams(batch_size=10**6, max_buckets=2)

    batches = pipeline.TrainBatches(PROBLEM, digits_dir, hparams, seed=0)

    assert batches.batches_per_epoch == 2
    assert sum(shape.batch_size for shape in batches.shapes()) == 2000


@pytest.mark.parametrize("max_target_length", [9, 256])
def test_evaluation_sees_every_example_once(digits_dir, max_target_length):
    hparams = hparam.HParams(batch_size=512, max_target_length=max_target_length)
    expected = [s["inputs"] for s in PROBLEM.generate_samples("", "", Split.EVAL)]

    dataset = pipeline.eval_dataset(PROBLEM, Split.EVAL, digits_dir, hparams)
    found = [text for batch in dataset for text in _rows_as_text(_numpy(batch))]

    assert sorted(found) == sorted(expected)


def test_evaluation_has_the_shapes_of_training(train, digits_dir):
    hparams = hparam.HParams(batch_size=512, max_buckets=3)
    shapes = {(s.batch_size, s.inputs_length) for s in train.shapes()}

    dataset = pipeline.eval_dataset(PROBLEM, Split.EVAL, digits_dir, hparams)

    assert {tuple(batch["inputs"].shape) for batch in dataset} == shapes


def test_examples_longer_than_training_add_a_shape(digits_dir):
    hparams = hparam.HParams(batch_size=512, max_buckets=1, max_target_length=9)

    dataset = pipeline.eval_dataset(PROBLEM, Split.TEST, digits_dir, hparams)

    assert {batch["inputs"].shape[1] for batch in dataset} == {16, 24}


def test_fillers_are_zeros_of_length_zero(digits_dir):
    hparams = hparam.HParams(batch_size=512)
    dataset = pipeline.eval_dataset(PROBLEM, Split.EVAL, digits_dir, hparams)

    num_fillers = 0
    for batch in map(_numpy, dataset):
        is_filler = batch["targets_length"] == 0
        num_fillers += is_filler.sum()
        assert not batch["inputs_length"][is_filler].any()
        assert not batch["inputs"][is_filler].any()
        assert not batch["targets"][is_filler].any()
    assert num_fillers > 0


def test_evaluation_has_a_fixed_order_and_can_stop_early(digits_dir):
    hparams = hparam.HParams(batch_size=256)
    whole = list(pipeline.eval_dataset(PROBLEM, Split.EVAL, digits_dir, hparams))

    part = pipeline.eval_dataset(
        PROBLEM, Split.EVAL, digits_dir, hparams, max_batches=2
    )

    assert len(part) == 2
    for one, other in zip(part, whole[:2], strict=True):
        _assert_equal(_numpy(one), _numpy(other))


def test_missing_records_say_what_to_type(tmp_path):
    expected = f"t2t-datagen --problem=copy_digits --data_dir={tmp_path}"

    with pytest.raises(FileNotFoundError, match=expected):
        pipeline.TrainBatches(PROBLEM, str(tmp_path), hparam.HParams(), seed=0)
    with pytest.raises(FileNotFoundError, match=expected):
        pipeline.eval_dataset(PROBLEM, Split.EVAL, str(tmp_path), hparam.HParams())


def test_a_truncated_shard_is_named_with_both_sizes(digits_dir, tmp_path):
    shutil.copytree(digits_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "copy_digits-train-00001-of-00002"
    size = path.stat().st_size
    os.truncate(path, size - 3)

    with pytest.raises(ValueError, match="00001-of-00002") as caught:
        pipeline.TrainBatches(PROBLEM, str(tmp_path), hparam.HParams(), seed=0)

    assert f"must have {size} bytes; it has {size - 3}" in str(caught.value)
    assert f"t2t-datagen --problem=copy_digits --data_dir={tmp_path}" in str(
        caught.value
    )


def test_a_damaged_record_is_named(digits_dir, tmp_path):
    shutil.copytree(digits_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "copy_digits-dev-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[13] ^= 1
    path.write_bytes(content)
    reader = records.RecordReader("copy_digits", Split.EVAL, str(tmp_path))

    with pytest.raises(ValueError, match="byte 0 of .*dev-00000.*t2t-datagen"):
        reader.read(0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="byte 0 of .*dev-00000"):
        list(
            pipeline.eval_dataset(PROBLEM, Split.EVAL, str(tmp_path), hparam.HParams())
        )


def test_few_shards_are_open_at_a_time(digits_dir, monkeypatch):
    monkeypatch.setattr(records, "MAX_OPEN_SHARDS", 1)
    reader = records.RecordReader("copy_digits", Split.TRAIN, digits_dir)
    rows = [0, len(reader.index) - 1]  # of the first and of the last shard
    before = len(os.listdir("/proc/self/fd"))

    payloads = [reader.read(row) for row in 3 * rows]

    assert payloads == 3 * payloads[:2]
    assert payloads[0] != payloads[1]
    assert len(os.listdir("/proc/self/fd")) == before + 1


class _Words(text_problem.Text2TextProblem):
    name = "some_words"
    approx_vocab_size = 300

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(40):
            yield {"inputs": f"number {number}", "targets": "word"}


def test_another_vocabulary_is_refused_with_both_hashes(tmp_path):
    made = generation.generate(_Words(), str(tmp_path), str(tmp_path))
    model = text_problem.text_encoder.build_subwords(["other text"], 280)
    (tmp_path / made.vocabulary.file).write_bytes(model)

    with pytest.raises(ValueError, match=made.vocabulary.sha256) as caught:
        pipeline.TrainBatches(_Words(), str(tmp_path), hparam.HParams(), seed=0)

    assert text_problem.text_encoder.SubwordTextEncoder(model).sha256 in str(
        caught.value
    )


class _Numbers(algorithmic.CopyDigits):
    """Numbers to three numbers."""

    name = "some_numbers"
    batch_size_means_tokens = False
    record_types = {"inputs": "float32", "targets": "float32"}

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(7):
            inputs = [number + 0.5] * (number + 1)
            yield {"inputs": inputs, "targets": [-1.0, 0.0, number / 4]}

    def encode_inputs(self, value, data_dir):
        return value

    encode_targets = encode_inputs

    def inputs_spec(self, data_dir):
        return FeatureSpec(modality="real", dtype="float32")

    def targets_spec(self, data_dir):
        return FeatureSpec(modality="real", dtype="float32", shape=(3,))


def test_numbers_are_padded_as_they_are(tmp_path):
    problem = _Numbers()
    generation.generate(problem, str(tmp_path), str(tmp_path))
    hparams = hparam.HParams(batch_examples=4)

    batches = pipeline.eval_dataset(problem, Split.EVAL, str(tmp_path), hparams)

    numbers = []
    for batch in map(_numpy, batches):
        assert batch["inputs"].dtype == batch["targets"].dtype == np.float32
        assert (batch["inputs"].shape, batch["targets"].shape) == ((4, 8), (4, 3))
        for row, length in enumerate(batch["inputs_length"]):
            number = length - 1
            expected = [number + 0.5] * length + [0.0] * (8 - length)
            np.testing.assert_array_equal(batch["inputs"][row], expected)
            targets = [-1.0, 0.0, number / 4] if length else [0.0] * 3
            np.testing.assert_array_equal(batch["targets"][row], targets)
            assert batch["targets_length"][row] == (3 if length else 0)
            numbers.append(number)
    assert sorted(numbers) == [-1, *range(7)]  # -1: the filler


def test_shards_of_a_batch_are_its_rows_and_fillers(train):
    count = 3
    whole = list(itertools.islice(train.dataset(start=2), 2))
    own = tuple(range(count))
    shards = pipeline.Shards(count=count, own=own)
    parts = list(itertools.islice(train.dataset(2, shards), 2 * count))

    for number, batch in enumerate(whole):
        rows = len(batch["targets"])
        size = -(-rows // count)
        of_batch = parts[number * count : (number + 1) * count]
        assert all(len(part["targets"]) == size for part in of_batch)
        for name, values in batch.items():
            joined = np.concatenate([part[name] for part in of_batch])
            np.testing.assert_array_equal(joined[:rows], values)
            assert not joined[rows:].any()


def test_a_worker_reads_the_records_of_its_own_shards_alone(train, monkeypatch):
    read = []
    monkeypatch.setattr(
        records.RecordReader,
        "read",
        lambda self, row, read_row=records.RecordReader.read: (
            read.append(int(row)) or read_row(self, row)
        ),
    )
    shards = pipeline.Shards(count=2, own=(1,))

    batch = next(iter(train.dataset(0, shards)))

    second_halves = []
    for number in range(40):  # more than are read ahead
        rows, _ = train.rows(number)
        half = -(-len(rows) // 2)
        odd = [rows[0]] * (len(rows) % 2)  # a filler is a copy of the first, zeroed
        second_halves += [*rows[half:], *odd]
    assert len(read) >= len(batch["targets"])
    assert read == second_halves[: len(read)]


@pytest.mark.slow
def test_shards_of_an_evaluation_are_all_of_it(digits_dir):
    hparams = hparam.HParams(batch_size=512, max_buckets=3)
    arguments = (PROBLEM, Split.EVAL, digits_dir, hparams)
    shards = [pipeline.Shards(count=2, own=(number,)) for number in range(2)]

    whole = [_rows_as_text(b) for b in pipeline.eval_dataset(*arguments)]
    parts = [
        [_rows_as_text(b) for b in pipeline.eval_dataset(*arguments, shards=of_worker)]
        for of_worker in shards
    ]

    assert [a + b for a, b in zip(*parts, strict=True)] == whole
