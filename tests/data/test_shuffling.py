import numpy as np

from t2t_mm.data import shuffling


def test_every_number_occurs_once():
    order = shuffling.permutation(1000, 0, "name")

    np.testing.assert_array_equal(np.sort(order), np.arange(1000))


def test_the_key_decides_the_order():
    first = shuffling.permutation(100, 0, "name", 1)

    np.testing.assert_array_equal(first, shuffling.permutation(100, 0, "name", 1))
    assert not np.array_equal(first, shuffling.permutation(100, 0, "name", 2))
    assert not np.array_equal(first, shuffling.permutation(100, 1, "name", 1))


def test_the_order_is_the_same_for_ever():
    expected = [5, 6, 7, 0, 1, 2, 4, 3]

    assert shuffling.permutation(8, 0, "copy_digits", 0).tolist() == expected


def test_sort_keys_are_the_same_in_whichever_pieces_they_are_asked_for():
    whole = shuffling.sort_keys(0, 50, "seed", 1)

    assert whole.dtype == np.uint64
    for start in (0, 1, 3, 4, 17):
        piece = shuffling.sort_keys(start, 9, "seed", 1)
        np.testing.assert_array_equal(piece, whole[start : start + 9])
    assert len(set(whole.tolist())) == 50
    assert not np.array_equal(whole, shuffling.sort_keys(0, 50, "seed", 2))
