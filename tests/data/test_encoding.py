import numpy as np

from t2t_mm.data import encoding
from t2t_mm.features import EOS_ID
from t2t_mm.problems import algorithmic

PROBLEM = algorithmic.CopyDigits()
TEXTS = ["1" * 30, "23", "4" * 9, "", "5" * 30, "67"]


def test_rows_are_the_texts_at_their_positions(hparams):
    found = {}
    for positions, features in encoding.encode_batch(PROBLEM, TEXTS, "", hparams):
        for row, position in enumerate(positions):
            if position >= 0:
                ids = features["inputs"][row].numpy()
                found[position] = PROBLEM.decode_targets(ids, "")
                assert features["inputs_length"][row] == len(TEXTS[position]) + 1

    assert [found[position] for position in range(6)] == TEXTS


def test_fillers_are_zeros(hparams):
    (batch,) = encoding.encode_batch(PROBLEM, ["1", "2", "3"], "", hparams)

    assert batch.positions.tolist() == [0, 1, 2, -1]
    assert batch.features["inputs_length"].numpy().tolist() == [2, 2, 2, 0]
    assert not batch.features["inputs"].numpy()[3].any()


def test_prompts_are_targets_without_an_end(hparams):
    (short, long) = encoding.encode_prompts(PROBLEM, ["12", "", "3" * 9], "", hparams)

    three = 2 + ord("3")
    assert short.positions.tolist() == [0, 1]
    np.testing.assert_array_equal(
        short.features["targets"], [[2 + ord("1"), 2 + ord("2"), *[0] * 6], [0] * 8]
    )
    assert short.features["targets_length"].numpy().tolist() == [2, 0]
    np.testing.assert_array_equal(long.features["targets"], [[*[three] * 9, *[0] * 7]])
    assert long.features["targets"].numpy().dtype == np.int32


def test_what_is_cut_is_named(hparams, caplog):
    numbers = [4, 8]
    arguments = PROBLEM, ["12", "3456"], "", hparams, 3, numbers

    (prompts,) = encoding.encode_prompts(*arguments)
    assert caplog.messages == ["Input 9 has 4 ids and is cut to 3, `max_input_size`."]
    caplog.clear()
    (inputs,) = encoding.encode_batch(*arguments)
    assert caplog.messages == ["Input 9 has 5 ids and is cut to 3, `max_input_size`."]

    # Of a prompt the end counts; an input keeps the id that ends it.
    texts = [
        PROBLEM.decode_targets(rows[1].numpy(), "")
        for rows in (prompts.features["targets"], inputs.features["inputs"])
    ]
    assert texts == ["456", "34"]
    assert inputs.features["inputs"][1, 2] == EOS_ID


def test_shapes_are_few(hparams):
    texts = ["1" * length for length in range(1, 200)]
    shapes = {
        tuple(features["inputs"].shape)
        for _, features in encoding.encode_batch(PROBLEM, texts, "", hparams)
    }

    assert {length for _, length in shapes} == {
        8,
        16,
        24,
        32,
        48,
        64,
        96,
        128,
        192,
        256,
    }
    assert all(size & (size - 1) == 0 or size == 512 // n for size, n in shapes)
    assert all(size * length <= 512 for size, length in shapes)


def test_a_batch_is_int32(hparams):
    (batch,) = encoding.encode_batch(PROBLEM, ["1"], "", hparams)

    assert batch.features["inputs"].numpy().dtype == np.int32
    assert set(batch.features) == {"inputs", "inputs_length"}
