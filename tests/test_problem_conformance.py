"""Every registered problem through one battery; registration is enrolment."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import functools
import tempfile

import corpora
import numpy as np
import pytest
import speech_corpora
import tfds_mock

from t2t_mm import hparam, problem, registry
from t2t_mm.data import encoding, generation, options, pipeline, records, tfds_source
from t2t_mm.features import FeatureSpec, Split

registry.import_registrations()

MAX_CASES = 20
EXAMPLES_OF_TFDS = 12
HPARAMS = hparam.HParams(batch_size=256, batch_examples=4, max_buckets=2)
NAMES = registry.PROBLEMS.names()


@pytest.fixture(scope="module", autouse=True)
def random_datasets():
    """Datasets of TensorFlow Datasets, for what no other corpus is made."""
    with tfds_mock.random_datasets(EXAMPLES_OF_TFDS):
        yield


@pytest.fixture(scope="module")
def data_dir():
    with tempfile.TemporaryDirectory() as folder:
        yield folder


@pytest.fixture(scope="module")
def corpus_paths(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpora")
    with pytest.MonkeyPatch.context() as patch:
        speech_corpora.put_on_path(patch, root / "bin")
        yield corpora.make_all(root)


@pytest.fixture(scope="module")
def make(data_dir, corpus_paths):
    """A function that returns a problem whose records exist."""

    @functools.cache
    def generated(name):
        cases = options.GenerationOptions(
            max_cases=MAX_CASES, corpus_paths=corpus_paths
        )
        made = cases.configured(registry.problem(name))
        generation.generate(made, data_dir, data_dir, cases)
        return made

    return generated


def _samples(made, data_dir, count=3):
    samples = (
        sample
        for sample in made.generate_samples(data_dir, data_dir, Split.TRAIN)
        if not isinstance(sample, problem.Rejected)
    )
    return [sample for sample, _ in zip(samples, range(count), strict=False)]


@pytest.mark.parametrize("name", NAMES)
def test_batches_are_as_the_specs_say(name, make, data_dir):
    made = make(name)
    specs = made.feature_specs(data_dir)

    batches = pipeline.TrainBatches(made, data_dir, HPARAMS, seed=0)
    batch = batches.example_batch(batches.shapes()[0])

    assert set(batch) == {f"{f}{end}" for f in specs for end in ("", "_length")}
    for feature, spec in specs.items():
        values = batch[feature].numpy()
        assert values.dtype.name == spec.dtype
        assert len(values.shape) == 1 + len(spec.shape)
        for size, wanted in zip(values.shape[1:], spec.shape, strict=True):
            assert wanted in (None, size)
        if spec.vocab_size is not None:
            assert 0 <= values.min() <= values.max() < spec.vocab_size


# Early in the file: with it, a second process of pytest-xdist that takes over the rest
# would have to make all records again.
def test_specs_of_one_vocabulary_agree_in_size(make, data_dir):
    sizes: dict[str, int] = {}
    for name in NAMES:
        for spec in make(name).feature_specs(data_dir).values():
            assert isinstance(spec, FeatureSpec)
            if spec.vocabulary is not None:
                known = sizes.setdefault(spec.vocabulary, spec.vocab_size)
                assert known == spec.vocab_size


@pytest.mark.parametrize("name", NAMES)
def test_every_split_is_read_once(name, make, data_dir):
    made = make(name)
    counts = {}
    for part in made.dataset_splits:
        reader = records.RecordReader(made.dataset_name, part["split"], data_dir)
        counts[part["split"]] = len(reader.index)
        assert all(map(reader.read, range(len(reader.index))))

    # How a split is read does not depend on which it is.
    dataset = pipeline.eval_dataset(made, Split.EVAL, data_dir, HPARAMS)
    lengths = np.concatenate([batch["targets_length"] for batch in dataset])

    assert all(0 < count <= MAX_CASES for count in counts.values())
    assert (lengths > 0).sum() == counts[Split.EVAL]


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_the_same_twice(name, make, data_dir):
    made = make(name)
    cases = options.GenerationOptions()

    def first_records():
        cases.seed_generators(made, Split.TRAIN)
        return [made.encode(sample, data_dir) for sample in _samples(made, data_dir)]

    assert first_records() == first_records()


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_encoded_for_decoding_as_for_training(name, make, data_dir):
    made = make(name)
    if "inputs" not in made.feature_specs(data_dir):
        return
    samples = _samples(made, data_dir)

    inputs = [sample["inputs"] for sample in samples]
    found = set()
    for positions, features in encoding.encode_batch(made, inputs, data_dir, HPARAMS):
        assert set(features) == {"inputs", "inputs_length"}
        for row, position in enumerate(positions):
            if position >= 0:
                found.add(int(position))
                length, _ = made.record_lengths(
                    made.encode(samples[position], data_dir)
                )
                assert features["inputs_length"][row] == length

    assert found == set(range(len(samples)))


@pytest.mark.parametrize("name", NAMES)
def test_targets_come_back_as_text(name, make, data_dir):
    made = make(name)

    for sample in _samples(made, data_dir):
        ids = made.encode(sample, data_dir)["targets"]
        text = made.decode_targets(ids, data_dir)

        assert isinstance(text, str)
        if isinstance(sample.get("targets"), str):
            assert text == sample["targets"]


@pytest.mark.parametrize(
    "name", [n for n in NAMES if registry.PROBLEMS.get(n).tfds_name is not None]
)
def test_without_a_path_tfds_is_read(name, make, data_dir, monkeypatch):
    make(name)  # for the vocabulary
    asked = []
    original = tfds_source.samples
    monkeypatch.setattr(
        tfds_source, "samples", lambda *args: asked.append(args) or original(*args)
    )
    made = registry.problem(name)

    for part in made.dataset_splits:
        samples = made.generate_samples(data_dir, data_dir, part["split"])
        assert made.encode(next(iter(samples)), data_dir)["targets"]
        assert asked.pop()[0] == made.tfds_name


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_is_documented_and_complete(name):
    cls = registry.PROBLEMS.get(name)

    assert issubclass(cls, problem.Problem)
    assert cls.name == name
    assert cls.__doc__
    assert cls.metrics
    splits = [part["split"] for part in cls().dataset_splits]
    assert splits[0] == Split.TRAIN
    assert Split.EVAL in splits
