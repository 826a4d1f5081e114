import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
import modality_names
import numpy_reference as reference
import original_names
import tiny_models
from t2t_mm import registry
from t2t_mm.layers import randomness

SHAPE = (18, 22, 3)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.uint8)


def _image(shape=SHAPE, **changes):
    spec = dataclasses.replace(tiny_models.IMAGE, shape=shape)
    modality = registry.MODALITIES.get("image")(
        spec, tiny_models.make_hparams(**changes), ["inputs"], name="image"
    )
    return tiny_models.perturb(modality)


def _embed(image, pixels):
    return image.bottom(tf.constant(pixels), tf.ones([len(pixels)], tf.int32))


def _check(embedded, expected, atol=2e-3):
    assert embedded.grid == expected.shape[1:3]
    batch, height, width, depth = expected.shape
    flat = expected.reshape(batch, height * width, depth)
    np.testing.assert_allclose(embedded.values, flat, atol=atol)
    assert embedded.mask.numpy().all()


@pytest.mark.parametrize("stride", [1, 2])
def test_pixels_go_through_the_entry_flow(stride):
    image = _image(image_stem_stride=stride)

    embedded = _embed(image, PIXELS)

    _check(embedded, reference.entry_flow_of(image, PIXELS, stride=stride))


def test_the_entry_flow_can_be_that_of_the_equations_in_the_paper():
    image = _image(image_stem_separable=True, image_stem_relu=True)

    embedded = _embed(image, PIXELS)

    _check(embedded, reference.entry_flow_of(image, PIXELS, literal=True))
    assert not any("/kernel" in v.name for v in image.variables if v.shape.rank == 4)


@pytest.mark.parametrize("stride", [1, 2])
def test_small_images_go_through_one_convolution(stride):
    image = _image(image_net="small", image_stem_stride=stride)

    embedded = _embed(image, PIXELS)

    expected = reference.image_conv_step_of(
        image.stem,
        reference.standardise(PIXELS),
        strides=(stride, stride),
        use_relu=False,
    )
    _check(embedded, expected)


def test_patches_are_projected_normalised_and_placed():
    image = _image(image_net="patch", image_patch_size=4)

    embedded = _embed(image, PIXELS)

    x = np.pad(reference.standardise(PIXELS), [(0, 0), (0, 2), (0, 2), (0, 0)])
    expected = np.zeros([2, 5, 6, 12])
    signal = reference.timing_signal(6, 6)
    for i in range(5):
        for j in range(6):
            patch = x[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].reshape(2, -1)
            y = patch @ reference.array(image.patch.kernel) + image.patch.bias.numpy()
            place = np.concatenate([signal[i], signal[j]])
            expected[:, i, j] = reference.layer_norm_of(image.patch_norm, y) + place
    _check(embedded, expected)


@pytest.mark.parametrize(
    ("shape", "grid"), [((299, 299, 3), (19, 19)), ((200, 320, 3), (13, 20))]
)
def test_images_of_real_sizes_are_halved_four_times(shape, grid):
    image = _image(shape=shape, image_stem_filters=(2, 3), image_filters=(4, 5))
    pixels = np.random.default_rng(1).integers(0, 256, (1, *shape)).astype(np.uint8)

    embedded = _embed(image, pixels)

    assert embedded.grid == grid
    assert embedded.values.shape == (1, grid[0] * grid[1], 12)
    assert np.isfinite(embedded.values).all()


@pytest.mark.parametrize("net", ["xception", "small", "patch"])
def test_filler_rows_are_masked_and_finite(net):
    image = _image(image_net=net)
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

    embedded = _embed(image, PIXELS[..., :1])

    _check(embedded, reference.entry_flow_of(image, PIXELS[..., :1]))


# Counted by hand from the formulas; separable ones are the paper's equations.
@pytest.mark.parametrize(
    ("hidden_size", "separable", "count"),
    [
        (1024, True, 1_764_955),
        (1024, False, 1_781_344),
        (1536, False, 3_361_888),
        (512, False, 725_088),
    ],
)
def test_the_entry_flow_has_as_many_parameters_as_the_equations(
    hidden_size, separable, count
):
    image = _image(
        hidden_size=hidden_size,
        num_heads=1,
        image_stem_filters=(32, 64),
        image_filters=(128, 256),
        image_stem_separable=separable,
    )

    assert tiny_models.count_parameters(image) == count


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_image_entry_flow", title="large")
)
def test_the_entry_flow_is_that_of_tensor2tensor(number):
    case = goldens.case("layer_image_entry_flow", number)
    pixels = case["in:image"]
    image = _image(
        shape=pixels.shape[1:],
        hidden_size=case.entry["hidden"],
        image_stem_filters=(32, 64),
        image_filters=(128, 256),
    )
    original_names.assign(image, case.variables, modality_names.entry_flow())

    embedded = _embed(image, pixels)

    assert embedded.grid == case["out:y"].shape[1:3]
    case.compare("out:y", embedded.values)


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_image_entry_flow", title="small")
)
def test_the_net_for_small_images_is_that_of_tensor2tensor(number):
    case = goldens.case("layer_image_entry_flow", number)
    pixels = case["in:image"]
    image = _image(
        shape=pixels.shape[1:],
        image_net="small",
        hidden_size=case.entry["hidden"],
        image_stem_stride=case.entry["stride"],
    )
    original_names.assign(image, case.variables, modality_names.small_image())

    embedded = _embed(image, pixels)

    assert embedded.grid == case["out:y"].shape[1:3]
    case.compare("out:y", embedded.values)


@pytest.mark.parametrize("number", [6, 7])
def test_pixels_are_standardised_as_by_tensor2tensor(number):
    case = goldens.case("layer_pool_and_standardise", number)
    x = case["in:x"]

    ours = tf.image.per_image_standardization(tf.cast(x, tf.float32))

    case.compare("out:y", ours)
    case.compare("out:y", reference.standardise(x))


@pytest.mark.parametrize(
    "changes", [dict(augment_image_flip=True), dict(augment_image_shift=3)]
)
def test_images_are_augmented_in_training_alone(changes):
    image, plain = _image(**changes), _image()
    pixels, lengths = tf.constant(PIXELS), tf.constant([1, 1])
    rng = randomness.RandomStream(tf.constant([1, 7], tf.int32))

    expected = plain.bottom(pixels, lengths, rng)
    outside = image.bottom(pixels, lengths)
    training = image.bottom(pixels, lengths, rng)

    np.testing.assert_array_equal(outside.values, expected.values)
    assert training.values.shape == expected.values.shape
    assert training.grid == expected.grid
    assert np.abs(training.values - expected.values).max() > 0.1
