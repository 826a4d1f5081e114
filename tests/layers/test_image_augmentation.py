import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import image_augmentation, randomness

SHAPE = (400, 5, 7, 3)


def _rng(seed=1):
    return randomness.RandomStream(tf.constant([seed, 7], tf.int32))


def _images(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_half_of_the_images_are_turned_left_to_right():
    images = _images()

    flipped = image_augmentation.flip(tf.constant(images), _rng()).numpy()

    is_turned = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    is_kept = (flipped == images).all((1, 2, 3))
    assert (is_turned ^ is_kept).all()
    assert is_turned.mean() == pytest.approx(0.5, abs=0.08)


def test_images_are_moved_by_every_shift_alike():
    images = _images()

    moved = image_augmentation.shift(tf.constant(images), 2, _rng()).numpy()

    found = np.zeros([5, 5])
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    for image, original in zip(moved, padded, strict=True):
        matches = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if (original[top : top + 5, left : left + 7] == image).all()
        ]
        assert len(matches) == 1
        found[matches[0]] += 1
    np.testing.assert_allclose(found.sum(0) / 400, 0.2, atol=0.08)
    np.testing.assert_allclose(found.sum(1) / 400, 0.2, atol=0.08)
    assert (found > 0).all()


def test_the_same_seed_repeats_and_another_differs():
    images = tf.constant(_images())

    def augment(seed):
        rng = _rng(seed)
        return image_augmentation.shift(image_augmentation.flip(images, rng), 2, rng)

    np.testing.assert_array_equal(augment(1), augment(1))
    assert np.abs(augment(1) - augment(2)).max() > 0.1
