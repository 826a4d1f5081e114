"""Problems turned round (`_rev`) and copied (`_copy`)."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from t2t_mm import hparam, registry
from t2t_mm.data import encoding, generation, pipeline
from t2t_mm.features import SpaceId, Split

registry.import_registrations()

HPARAMS = hparam.HParams(batch_size=256, max_buckets=2)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("data"))
    generation.generate(registry.problem("reverse_digits"), folder, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "inputs_feature", "targets_feature"),
    [
        ("reverse_digits_rev", 1, 0),
        ("reverse_digits_copy", 0, 0),
        ("reverse_digits_rev_copy", 1, 1),
    ],
)
def test_a_variant_reads_the_records_of_its_problem(
    name, inputs_feature, targets_feature, data_dir
):
    base = {tuple(inputs): targets for inputs, targets in _all("", data_dir)}
    for inputs, targets in _all(name.removeprefix("reverse_digits"), data_dir):
        source = inputs if inputs_feature == 0 else _reversed(inputs)
        pair = (source, base[tuple(source)])
        assert inputs == pair[inputs_feature]
        assert targets == pair[targets_feature]


def _all(suffix, data_dir):
    problem = registry.problem("reverse_digits" + suffix)
    for batch in pipeline.eval_dataset(problem, Split.EVAL, data_dir, HPARAMS):
        for row in range(len(batch["inputs"])):
            lengths = [int(batch[f"{f}_length"][row]) for f in ("inputs", "targets")]
            if lengths[0]:
                yield tuple(
                    batch[feature][row, :length].numpy().tolist()
                    for feature, length in zip(
                        ("inputs", "targets"), lengths, strict=True
                    )
                )


def _reversed(ids):
    """Digits back to front, with the id that ends them."""
    return [*ids[-2::-1], ids[-1]]


def test_a_variant_swaps_what_texts_mean():
    problem = registry.problem("miniworld_ende_rev")

    assert problem.input_space == SpaceId.DE_TOK
    assert problem.target_space == SpaceId.EN_TOK
    assert problem.name == "miniworld_ende_rev"
    assert problem.dataset_name == "miniworld_ende"
    assert registry.problem_class("miniworld_ende_rev") is type(problem)


def test_inputs_of_a_variant_are_encoded_for_decoding(data_dir):
    problem = registry.problem("reverse_digits_rev")

    (batch,) = encoding.encode_batch(problem, ["12"], data_dir, HPARAMS)

    assert batch.features["inputs"].numpy()[0, :3].tolist() == [51, 52, 1]


def test_making_a_variant_makes_the_records_of_its_problem(tmp_path):
    folder = str(tmp_path)

    made = generation.generate(registry.problem("copy_digits_rev"), folder, folder)

    assert made.problem == "copy_digits"


def test_pictures_cannot_be_turned_round():
    with pytest.raises(ValueError, match="no 'miniworld_class_rev': only problems"):
        registry.problem("miniworld_class_rev")


def test_an_unknown_base_is_answered_by_close_names():
    with pytest.raises(LookupError, match="No problem is named 'copy_digit'.*digits"):
        registry.problem("copy_digit_rev")


def test_names_of_variants_are_not_registered():
    with pytest.raises(ValueError, match="must not end in _rev or _copy"):
        registry.register_problem("mine_rev")
