import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from t2t_mm.data import images
from t2t_mm.data.images import ImageFit

RED, BLUE, WHITE = (200, 30, 10), (10, 30, 200), (255, 255, 255)
SHAPE = (6, 8, 3)


def as_file(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def read(content, shape=SHAPE, fit=ImageFit.STRETCH):
    return images.read_file(content, shape, fit)


def halves(width=8, height=6, mode="RGB", left=RED, right=BLUE):
    image = Image.new(mode, (width, height), right)
    image.paste(left, (0, 0, width // 2, height))
    return image


def assert_halves(pixels, left, right, within=0):
    middle = pixels.shape[1] // 2
    assert np.abs(pixels[:, :middle].astype(int) - left).max() <= within
    assert np.abs(pixels[:, middle:].astype(int) - right).max() <= within


def test_transparent_parts_are_white():
    image = halves(mode="RGBA", left=(*RED, 255), right=(*BLUE, 0))

    assert_halves(read(as_file(image)), RED, WHITE)


def test_half_transparent_parts_are_mixed_with_white():
    image = Image.new("LA", (8, 6), (0, 128))

    assert np.abs(read(as_file(image)).astype(int) - 127).max() <= 1


def test_a_palette_with_a_transparent_colour_becomes_rgb_on_white():
    image = halves().quantize(4)
    clear = image.getpixel((7, 0))

    assert_halves(read(as_file(image, transparency=clear)), RED, WHITE)


def test_a_colour_that_stands_for_transparent_becomes_white():
    content = as_file(halves(), transparency=BLUE)

    assert_halves(read(content), RED, WHITE)
    # The file would fit, but for a reader that knows of no transparency.
    stored = images.fit_file(content, SHAPE, ImageFit.STRETCH, 90)
    assert_halves(np.asarray(Image.open(io.BytesIO(stored))), RED, WHITE)


def test_cmyk_becomes_rgb():
    content = as_file(halves().convert("CMYK"), "JPEG", quality=95)

    assert Image.open(io.BytesIO(content)).mode == "CMYK"
    assert_halves(read(content), RED, BLUE, within=16)


def test_grey_becomes_rgb_and_rgb_grey():
    grey = as_file(Image.new("L", (8, 6), 77), "JPEG")
    white = as_file(Image.new("RGB", (8, 6), WHITE))

    assert (read(grey) == 77).all()
    assert (read(white, (6, 8, 1)) == np.full((6, 8, 1), 255)).all()


def test_black_and_white_has_both():
    image = Image.new("1", (8, 6), 0)
    image.paste(1, (4, 0, 8, 6))

    assert_halves(read(as_file(image)), (0, 0, 0), WHITE)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_of_16_bits_the_upper_8_are_kept(kind):
    values = np.full((6, 8), 0x1234, np.uint16)
    values[:, 4:] = 0xFFFF

    assert_halves(read(as_file(Image.fromarray(values), kind)), (0x12,) * 3, WHITE)


def test_grey_values_without_an_agreed_range_are_refused():
    content = as_file(Image.fromarray(np.full((6, 8), 0.5, np.float32)), "TIFF")

    with pytest.raises(ValueError, match="must have 8 or 16 bits"):
        read(content)


@pytest.mark.parametrize("size", [(8, 6), (6, 8), (40, 30)])
def test_the_camera_s_orientation_is_applied(size):
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    content = as_file(halves(*size), "JPEG", exif=exif, quality=95, subsampling=0)

    (stored,) = [images.fit_file(content, SHAPE, ImageFit.STRETCH, 95)]

    pixels = np.asarray(Image.open(io.BytesIO(stored)))
    assert_halves(pixels[:, [0, 1, 6, 7]], BLUE, RED, within=20)


def test_of_an_animation_the_first_picture_is_taken():
    frames = [Image.new("RGB", (8, 6), colour) for colour in (RED, BLUE)]
    content = as_file(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert_halves(read(content), RED, RED)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_is_cut_off_is_refused_even_if_it_would_fit(kind):
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    content = as_file(Image.fromarray(noise), kind)

    with pytest.raises(ValueError, match="must be whole; this one is damaged"):
        images.fit_file(content[: -len(content) // 4], SHAPE, ImageFit.STRETCH, 90)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must not be empty"),
        (b"<html>404 Not Found</html>", "must be a file of one of .*JPEG"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        # Pillow would start another program for it.
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n", "of another kind"),
    ],
)
def test_what_is_no_image_is_refused(content, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(content)


@pytest.mark.parametrize("size", [(10_000, 9_000), (100_000, 100_000)])
def test_an_image_of_absurd_size_is_refused_unread(size):
    header = b"IHDR" + struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    content = b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)),
            struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")),
        )
    )

    with pytest.raises(ValueError, match="at most 89478485 pixels"):
        read(content)


def test_a_file_that_fits_is_kept():
    png = as_file(halves())
    jpeg = as_file(halves(), "JPEG")

    for content in (png, jpeg):
        assert images.fit_file(content, SHAPE, ImageFit.STRETCH, 90) is content


def test_other_kinds_of_files_that_fit_are_not_kept():
    stored = images.fit_file(as_file(halves(), "BMP"), SHAPE, ImageFit.STRETCH, 90)

    assert stored.startswith(b"\x89PNG")


def test_small_images_are_stored_as_png_and_large_ones_as_jpeg():
    small, large = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 65, 3), np.uint8)

    assert images.encode(small, 90).startswith(b"\x89PNG")
    assert images.encode(large, 90).startswith(b"\xff\xd8")


def test_a_lower_quality_takes_less_room():
    noise = np.random.default_rng(0).integers(0, 256, (80, 90, 3)).astype(np.uint8)

    assert len(images.encode(noise, 30)) < len(images.encode(noise, 90)) / 2


def three_bands():
    """Red, white and blue side by side, 30 wide and 10 high each 10."""
    image = halves(30, 10)
    image.paste(WHITE, (10, 0, 20, 10))
    return image


def test_cropping_keeps_proportions_and_the_middle():
    pixels = read(as_file(three_bands()), (5, 5, 3), ImageFit.CROP)

    assert (pixels[:, 1:-1] == 255).all()


def test_stretching_keeps_everything():
    pixels = read(as_file(three_bands()), (5, 15, 3), ImageFit.STRETCH)

    np.testing.assert_array_equal(pixels[2, [0, 7, 14]], [RED, WHITE, BLUE])


def test_a_large_jpeg_is_reduced_while_it_is_decoded():
    big = as_file(halves(1600, 1200), "JPEG", quality=95)

    pixels = read(big)

    assert_halves(pixels[:, [0, 1, 2, 5, 6, 7]], RED, BLUE, within=3)


def test_arrays_are_made_to_fit_like_files():
    array = np.asarray(three_bands())

    np.testing.assert_array_equal(
        images.fit_array(array, (5, 5, 3), ImageFit.CROP),
        read(as_file(three_bands()), (5, 5, 3), ImageFit.CROP),
    )


def test_an_array_with_transparency_lies_on_white():
    array = np.asarray(halves(mode="RGBA", left=(*RED, 255), right=(*BLUE, 0)))

    pixels = images.fit_array(array, SHAPE, ImageFit.STRETCH)

    assert_halves(pixels, RED, WHITE)


def test_damaged_notes_do_not_make_a_damaged_image():
    content = as_file(halves(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")

    assert read(content).shape == SHAPE


def test_tiff_is_read():
    image = halves()
    tags = TiffImagePlugin.ImageFileDirectory_v2()

    assert_halves(read(as_file(image, "TIFF", tiffinfo=tags)), RED, BLUE)
