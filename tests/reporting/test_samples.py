import numpy as np
import pytest
from PIL import Image

from t2t_mm.reporting import samples


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_written_as_they_are(channels, tmp_path):
    pixels = np.arange(5 * 7 * channels, dtype=np.uint8).reshape(5, 7, channels)

    assert samples.write_picture(pixels, str(tmp_path / "a.png"))

    written = np.asarray(Image.open(tmp_path / "a.png")).reshape(5, 7, channels)
    np.testing.assert_array_equal(written, pixels)


def test_a_spectrogram_has_time_to_the_right_and_high_sounds_on_top(tmp_path):
    spectrogram = np.zeros((7, 5, 1), np.float32)  # [frames, bins, 1]
    spectrogram[6, 4] = 1.0  # the last frame, the highest bin

    assert samples.write_picture(spectrogram, str(tmp_path / "a.png"))

    image = np.asarray(Image.open(tmp_path / "a.png").convert("L"), int)
    assert image.shape == (5, 7)
    assert np.unravel_index(image.argmax(), image.shape) == (0, 6)


@pytest.mark.parametrize(
    "inputs", [np.arange(3), np.zeros((7, 5, 2)), np.zeros((7, 5, 3), np.float32)]
)
def test_other_inputs_are_no_pictures(inputs, tmp_path):
    assert not samples.write_picture(inputs, str(tmp_path / "a.png"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [0]), (3, [0, 3, 6]), (4, [0, 2, 4, 6]), (99, list(range(10)))],
)
def test_samples_are_spread_over_all(count, expected):
    assert samples.spread(range(10), count) == expected


@pytest.mark.parametrize(("output", "is_right"), [("a", True), ("A", False)])
def test_a_sample_is_right_if_it_is_the_reference(output, is_right):
    sample = samples.Sample(text="x", picture=None, reference="a", output=output)

    assert sample.is_right is is_right


def test_numbers_are_neither_right_nor_wrong():
    sample = samples.Sample("x", None, reference="1", output="1", is_of_ids=False)

    assert sample.is_right is None
