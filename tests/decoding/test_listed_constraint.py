import numpy as np
import pytest
import tensorflow as tf

import stored_runs
import tiny_models
from t2t_mm.data import image_problem
from t2t_mm.decoding import constraints, decoder, listed_constraint, sequential
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import EOS_ID

# The second is the first and more; the first two begin alike.
OUTPUTS = [[3, 4], [3, 4, 5], [6]]


def _allowed_after(prefix):
    constraint = listed_constraint.ListedConstraint(OUTPUTS, 8)
    state = constraint.start(tf.constant([0]), tf.constant([9]))
    for symbol_id in prefix:
        state = constraint.advance(state, tf.constant([symbol_id]))
    return np.flatnonzero(constraint.allowed(state)[0]).tolist()


@pytest.mark.parametrize(
    ("prefix", "allowed"),
    [
        ([], [3, 6]),
        ([3], [4]),
        ([3, 4], [EOS_ID, 5]),
        ([3, 4, 5], [EOS_ID]),
        ([6], [EOS_ID]),
        ([6, EOS_ID, 0], [EOS_ID]),
    ],
)
def test_what_may_follow(prefix, allowed):
    assert _allowed_after(prefix) == allowed


def test_whatever_is_preferred_outputs_are_on_the_list():
    constraint = listed_constraint.ListedConstraint(OUTPUTS, 8)
    rows = 12
    none = tf.zeros([rows], tf.int32)
    max_lengths = constraint.least_length(none)
    scores = np.random.default_rng(1).normal(size=[4, rows, 8])

    found = sequential.extend(
        constraints.constrain(
            lambda ids, state, position: (tf.constant(scores)[position], state),
            constraint,
        ),
        (tf.zeros([rows]), constraint.start(none, max_lengths)),
        choose=sequential.best,
        is_filler=tf.zeros([rows], tf.bool),
        max_lengths=max_lengths,
    )

    listed = {tuple((ids + [EOS_ID] + 4 * [0])[:4]) for ids in OUTPUTS}
    assert {tuple(row) for row in found.ids.numpy()} == listed


def test_texts_are_on_the_list(untrained_run_dir):
    config = DecodeConfig(allowed_outputs=("12", "123456", "9"), extra_length=1)

    outputs = stored_runs.make_decoder(untrained_run_dir, "copy_digits", config).decode(
        ["1", "22", "55555", "9"]
    )

    assert set(outputs) <= {"12", "123456", "9"}


class _Animals(image_problem.Image2ClassProblem):
    name = "animals"
    image_shape = (16, 24, 3)
    class_names = ("ant", "bee", "cat", "dog")

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        raise NotImplementedError


@pytest.fixture(scope="module")
def animals():
    problem = _Animals()
    specs = {problem.name: problem.feature_specs("")}
    return tiny_models.make_model("transformer_tiny", specs), problem


def test_classes_are_on_the_list_in_their_order(animals):
    images = list(np.random.default_rng(1).integers(0, 256, [3, 16, 24, 3], np.uint8))

    def search(**options):
        found = decoder.Decoder(
            *animals,
            config=DecodeConfig(beam_size=4, return_beams=True, **options),
            vocab_dir="",
        ).search(images)
        return {position: [r.text for r in results] for position, results in found}

    ranked = search()
    kept = search(allowed_outputs=("ant", "bee", "dog"))

    for position, names in ranked.items():
        assert sorted(names) == ["ant", "bee", "cat", "dog"]
        assert kept[position] == [name for name in names if name != "cat"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(allowed_outputs=("ant", "cow")), "There is no class 'cow'"),
        (dict(allowed_outputs=("ant", "ant")), "must have different ids"),
        (dict(allowed_outputs=("ant",), constrained=True), "Give one of them"),
        (dict(allowed_outputs=("ant",), force_decode_length=True), "cannot be set"),
    ],
)
def test_lists_that_make_no_sense_are_refused(animals, options, message):
    with pytest.raises(ValueError, match=message):
        decoder.Decoder(*animals, config=DecodeConfig(**options), vocab_dir="")
