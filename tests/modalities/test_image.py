import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
import numpy_reference as reference
import tiny_models
from t2t_mm import registry

SHAPE = (18, 22, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)


def _image(shape=SHAPE, **changes):
    spec = dataclasses.replace(tiny_models.IMAGE, shape=shape)
    modality = registry.MODALITIES.get("image")(
        spec, tiny_models.make_hparams(**changes), ["inputs"], name="image"
    )
    return tiny_models.perturb(modality)


def _standardise(pixels):
    x = pixels.astype(np.float64)
    mean, deviation = x.mean((1, 2, 3)), x.std((1, 2, 3))
    least = 1.0 / np.sqrt(np.prod(x.shape[1:]))
    divisor = np.maximum(deviation, least)
    return (x - mean[:, None, None, None]) / divisor[:, None, None, None]


def _entry_flow(image, pixels, stride):
    """Two ordinary convolutions, then ConvRes blocks that halve."""
    x = _standardise(pixels)
    x = reference.image_conv_step_of(
        image.stem_0, x, strides=(stride, stride), use_relu=False
    )
    x = reference.image_conv_step_of(image.stem_1, x)
    for i, block in enumerate(image.blocks):
        x = reference.conv_res_of(block, x, strides=(2, 2), shortcut_relu=i == 0)
    return x


@pytest.mark.parametrize("stride", [1, 2])
def test_pixels_go_through_the_entry_flow(stride):
    image = _image(image_stem_stride=stride)

    embedded = image.bottom(tf.constant(PIXELS), tf.constant([1, 1]))

    expected = _entry_flow(image, PIXELS, stride)
    assert embedded.grid == expected.shape[1:3]
    np.testing.assert_allclose(embedded.values, expected.reshape(2, -1, 12), atol=2e-3)
    assert embedded.mask.numpy().all()


def test_the_paper_turns_299_pixels_into_19_by_19_positions():
    image = _image(shape=(299, 299, 3), image_stem_filters=(2, 2), image_filters=(2, 2))

    embedded = tf.function(image.bottom).get_concrete_function(
        tf.TensorSpec([None, 299, 299, 3], tf.uint8), tf.TensorSpec([None], tf.int32)
    )

    assert embedded.structured_outputs.values.shape == (None, 361, 12)


def test_filler_rows_are_masked_and_finite():
    image = _image()
    pixels = np.concatenate([PIXELS[:1], np.zeros_like(PIXELS[:1])])

    embedded = image.bottom(tf.constant(pixels), tf.constant([1, 0]))

    assert embedded.mask.numpy()[0].all()
    assert not embedded.mask.numpy()[1].any()
    assert np.isfinite(embedded.values).all()


def test_no_block_is_wider_than_the_body():
    image = _image(image_filters=(8, 100))

    widths = [block.conv_1.layer_norm.scale.shape[0] for block in image.blocks]

    assert widths == [8, 12, 12]


def test_images_of_any_size_share_a_net_and_grey_ones_have_their_own():
    cls = registry.MODALITIES.get("image")

    def key(*shape):
        return cls.key(dataclasses.replace(tiny_models.IMAGE, shape=shape))

    assert key(28, 28, 3) == key(299, 299, 3)
    assert key(28, 28, 3) != key(28, 28, 1)


def test_grey_images_have_one_channel():
    image = _image(shape=(18, 22, 1))

    embedded = image.bottom(tf.constant(PIXELS[..., :1]), tf.constant([1, 1]))

    expected = _entry_flow(image, PIXELS[..., :1], 2)
    np.testing.assert_allclose(embedded.values, expected.reshape(2, -1, 12), atol=2e-3)


@pytest.mark.parametrize(("case", "tolerance"), [(6, 1e-5), (7, 1e-4)])
def test_the_reference_standardises_as_tensor2tensor(case, tolerance):
    arrays = goldens.read("layer_pool_and_standardise")

    standardised = _standardise(arrays[f"c{case}:in:x"])

    np.testing.assert_allclose(standardised, arrays[f"c{case}:out:y"], atol=tolerance)
