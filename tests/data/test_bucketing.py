import itertools

import numpy as np

from t2t_mm.data import bucketing


def _padded_positions(lengths, shapes):
    return shapes[bucketing.assign(lengths, shapes)].sum()


def _least_by_trying_all(lengths, num_shapes):
    rounded = -(-lengths // 8) * 8
    keys = rounded.max(axis=1)
    distinct = np.unique(keys)
    sizes = []
    for cuts in itertools.combinations(distinct[:-1], num_shapes - 1):
        edges = [0, *cuts, distinct[-1]]
        groups = [
            rounded[(keys > low) & (keys <= high)]
            for low, high in itertools.pairwise(edges)
        ]
        sizes.append(sum(len(g) * g.max(axis=0).sum() for g in groups))
    return min(sizes)


def test_shapes_have_the_fewest_padded_positions():
    lengths = np.random.default_rng(0).integers(1, 80, (150, 2))

    shapes = bucketing.choose_shapes(lengths, (True, True), 3)

    assert len(shapes) == 3
    assert _padded_positions(lengths, shapes) == _least_by_trying_all(lengths, 3)


def test_each_feature_is_padded_to_its_own_longest():
    lengths = np.array([[3, 5], [9, 2], [30, 31], [100, 4]])

    shapes = bucketing.choose_shapes(lengths, (True, True), 2)

    np.testing.assert_array_equal(shapes, [[32, 32], [104, 8]])


def test_a_length_on_a_multiple_is_not_rounded_further():
    shapes = bucketing.choose_shapes(np.array([[8, 16]]), (True, True), 4)

    np.testing.assert_array_equal(shapes, [[8, 16]])


def test_static_features_are_neither_rounded_nor_told_apart():
    lengths = np.array([[1, 3], [1, 9], [1, 30]])

    shapes = bucketing.choose_shapes(lengths, (False, True), 2)

    assert shapes[:, 0].tolist() == [1, 1]
    assert shapes[-1, 1] == 32


def test_without_lengths_that_vary_there_is_one_shape():
    shapes = bucketing.choose_shapes(np.ones((7, 2), int), (False, False), 6)

    np.testing.assert_array_equal(shapes, [[1, 1]])


def test_assign_takes_the_first_that_fits_or_none():
    shapes = np.array([[8, 8], [16, 8], [16, 24]])
    lengths = np.array([[8, 8], [9, 1], [2, 20], [17, 1]])

    assert bucketing.assign(lengths, shapes).tolist() == [0, 1, 2, 3]
