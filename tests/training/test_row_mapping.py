import numpy as np

from t2t_mm.data import text_encoder
from t2t_mm.training import row_mapping

LETTERS = row_mapping.Entries(
    list("abcd"), lambda text: ["abcd".index(c) for c in text]
)


def test_rows_go_by_text_and_new_ones_are_means_of_their_pieces():
    new = row_mapping.Entries(["d", "abc", "a"], lambda text: [])
    old_rows = np.arange(8.0).reshape(4, 2)

    mapping = row_mapping.by_text(LETTERS, new)

    np.testing.assert_array_equal(
        mapping.apply(old_rows, np.zeros([3, 2]), 0), [[6, 7], [2, 3], [0, 1]]
    )
    assert str(mapping) == (
        "2 of 3 rows copied, 1 means of their old pieces, 2 old ones left behind"
    )


def test_rows_without_a_source_keep_their_initial_values():
    old = row_mapping.Entries(["cat", "dog"])
    new = row_mapping.Entries(["emu", "dog"])
    initial = np.full([3, 2], 9.0)

    mapping = row_mapping.by_text(old, new)
    changed = mapping.apply(np.arange(6.0).reshape(3, 2), initial, 1)

    np.testing.assert_array_equal(changed, [[9, 1], [9, 3], [9, 5]])
    np.testing.assert_array_equal(initial, 9.0)
    assert str(mapping) == "1 of 2 rows copied, 1 initial, 1 old ones left behind"


def test_slots_of_new_rows_are_zero_or_the_mean_of_the_others():
    mapping = row_mapping.RowMapping(sources=[(2,), (0, 1), (), (0,)], old_size=3)
    slot = np.array([1.0, 5.0, 3.0])

    zero = mapping.apply_to_slot(slot, 0, by_mean=False)
    mean = mapping.apply_to_slot(slot, 0, by_mean=True)

    np.testing.assert_array_equal(zero, [3, 0, 0, 1])
    np.testing.assert_array_equal(mean, [3, 2, 2, 1])


def test_the_same_texts_are_the_identity():
    assert row_mapping.by_text(LETTERS, LETTERS).is_identity
    longer = row_mapping.Entries(list("abcde"), LETTERS.split)
    assert not row_mapping.by_text(longer, LETTERS).is_identity


def test_subwords_are_made_of_bytes():
    old = text_encoder.ByteTextEncoder()
    new = text_encoder.SubwordTextEncoder(
        text_encoder.build_subwords(["the best of the times"] * 9, 290)
    )
    table = np.arange(258.0)[:, None]

    mapping = row_mapping.by_text(
        row_mapping.Entries(old.texts, old.encode),
        row_mapping.Entries(new.texts, new.encode),
    )
    rows = mapping.apply(table, np.full([new.vocab_size, 1], -1.0), 0)[:, 0]

    word = new.texts.index(" the")
    assert rows[word] == np.mean([2 + byte for byte in b" the"])
    assert list(rows[:3]) == [0, 1, -1]  # padding, end, unknown
    assert rows[new.texts.index("t")] == 2 + ord("t")
