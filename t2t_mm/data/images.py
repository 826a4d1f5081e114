"""Image files as they come, turned into pixels of one size, and back into files.

What a file is called does not matter, what is in it does: a PNG named .JPEG is read as
what it is. Whatever a person would see is kept:

- the orientation that a camera noted (EXIF) is applied;
- transparent parts are laid on white;
- CMYK and palettes become RGB, 16 bits a channel become 8;
- colour profiles are ignored.
"""

import contextlib
import enum
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from etils import epy

with epy.lazy_imports():
    from PIL import Image, ImageOps

# What JPEG loses in few pixels is seen, and what PNG adds in many costs: 299x299 pixels
# of a photograph are 30 kB as JPEG and 150 kB as PNG.
MAX_PNG_PIXELS = 64 * 64
PNG_COMPRESSION_LEVEL = 6

# No others, as Pillow hands some of them to other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
STORED_FORMATS = ("JPEG", "PNG")

_PARTICULARS = re.compile(r"\s*\([^)]*\)|\.$")
_WHITE = (255, 255, 255, 255)
_UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
# A JPEG file is decoded to an eighth, quarter or half if that is still so many times
# larger than what is wanted: less would be seen.
_REDUCING_GAP = 2.0
_LARGEST_INT16 = 0xFFFF


class ImageFit(enum.StrEnum):
    """How an image of another shape is made to fit."""

    STRETCH = "stretch"  # everything stays in the picture
    CROP = "crop"  # proportions stay; what sticks out at two sides is cut off


def fit_file(
    content: bytes, shape: Sequence[int], fit: ImageFit, quality: int
) -> bytes:
    """Returns an image file as a PNG or JPEG file of a shape.

    Args:
      content: a file of one of `FORMATS`; returned as it is if it fits.
      shape: `(height, width, channels)`.
      fit: what to do about other proportions.
      quality: of a JPEG file, from 1 to 95.

    Raises:
      ValueError: if the file is damaged, empty, too large, or no image.
    """
    with _opened(content) as image:
        height, width, channels = shape
        expected = ((width, height), _mode(channels), _UPRIGHT, False)
        found = (image.size, image.mode, _orientation(image), _is_transparent(image))
        stored = found == expected and image.format in STORED_FORMATS
        pixels = _pixels(image, shape, fit)  # also finds out whether it is whole
    return content if stored else encode(pixels, quality)


def read_file(content: bytes, shape: Sequence[int], fit: ImageFit) -> np.ndarray:
    """Returns the pixels of an image file: uint8 `[height, width, channels]`.

    Args:
      content: a file of one of `FORMATS`.
      shape: `(height, width, channels)`.
      fit: what to do about other proportions.

    Raises:
      ValueError: if the file is damaged, empty, too large, or no image.
    """
    with _opened(content) as image:
        return _pixels(image, shape, fit)


def fit_array(array: np.ndarray, shape: Sequence[int], fit: ImageFit) -> np.ndarray:
    """Returns uint8 pixels `[height, width, 1, 3 or 4 channels]` in another shape.

    Raises:
      ValueError: if it is no such array.
    """
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(
            "An image must be uint8 of shape [height, width, channels] with 1, 3 or 4 "
            f"channels; got {array.dtype} of shape {list(array.shape)}."
        )
    if 0 in array.shape:
        raise ValueError(f"An image must have pixels; got {list(array.shape)}.")
    if array.shape == tuple(shape):
        return array
    return _pixels(_from_array(array), shape, fit)


def encode(pixels: np.ndarray, quality: int) -> bytes:
    """Returns uint8 `[height, width, channels]` as a PNG file, or JPEG if it is large.

    Args:
      pixels: with 1 or 3 channels.
      quality: of a JPEG file, from 1 to 95.
    """
    if is_stored_as_png(pixels.shape):
        return encode_png(pixels)
    content = io.BytesIO()
    _from_array(pixels).save(content, format="JPEG", quality=quality)
    return content.getvalue()


def is_stored_as_png(shape: Sequence[int]) -> bool:
    """Returns whether `encode` keeps every pixel of images of a shape."""
    return shape[0] * shape[1] <= MAX_PNG_PIXELS


def encode_png(pixels: np.ndarray) -> bytes:
    """Returns a uint8 `[height, width, channels]` image as a PNG file."""
    content = io.BytesIO()
    _from_array(pixels).save(
        content, format="PNG", compress_level=PNG_COMPRESSION_LEVEL
    )
    return content.getvalue()


def _from_array(pixels: np.ndarray) -> Any:
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


@contextlib.contextmanager
def _opened(content: bytes) -> Iterator[Any]:
    if not content:
        raise ValueError("An image file must not be empty.")
    with warnings.catch_warnings():
        # Such as about notes of a camera that are damaged, which nobody needs.
        warnings.simplefilter("ignore", UserWarning)
        # Pillow only warns between once and twice its limit.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with _open(content) as image:
            yield image


def _open(content: bytes) -> Any:
    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(
            f"An image must have at most {Image.MAX_IMAGE_PIXELS} pixels; this one has "
            "more. Make it smaller."
        ) from None
    except Image.UnidentifiedImageError:
        raise ValueError(
            f"An image must be a file of one of {', '.join(FORMATS)}; this one is of "
            "another kind or damaged."
        ) from None
    except Exception as error:  # of any kind: see `_pixels`
        raise _damaged(error) from error


def _pixels(image: Any, shape: Sequence[int], fit: ImageFit) -> np.ndarray:
    height, width, channels = shape
    try:
        if image.format in ("JPEG", "MPO"):  # MPO is JPEG with more than one picture
            gap = (round(width * _REDUCING_GAP), round(height * _REDUCING_GAP))
            image.draft(None, gap)
        image.load()
    except Exception as error:  # each of Pillow's readers has its own kinds
        raise _damaged(error) from error
    upright = (
        image if _orientation(image) == _UPRIGHT else ImageOps.exif_transpose(image)
    )
    converted = _to_mode(upright, _mode(channels))
    if converted.size != (width, height):
        converted = _resize(converted, (width, height), fit)
    return np.asarray(converted, np.uint8).reshape(height, width, channels)


def _damaged(error: Exception) -> ValueError:
    reason = _PARTICULARS.sub("", str(error))  # so that equal ones can be counted
    return ValueError(f"An image file must be whole; this one is damaged: {reason}.")


def _mode(channels: int) -> str:
    return {1: "L", 3: "RGB"}[channels]


def _orientation(image: Any) -> int:
    try:
        return image.getexif().get(_ORIENTATION_TAG, _UPRIGHT)
    except Exception:  # damaged notes do not make a damaged image
        return _UPRIGHT


def _is_transparent(image: Any) -> bool:
    return image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or (
        "transparency" in image.info
    )


def _to_mode(image: Any, mode: str) -> Any:
    """Converts to "L" or "RGB"; see the top of this file."""
    if image.mode == mode and not _is_transparent(image):
        return image
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bits(image)
    if _is_transparent(image):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, _WHITE)
        image = Image.alpha_composite(white, image)
    # By way of RGB, as not every mode can become "L".
    return image.convert("RGB").convert(mode)


def _to_8_bits(image: Any) -> Any:
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > _LARGEST_INT16:
        raise ValueError(
            "A grey image must have 8 or 16 bits without a sign; this one has values "
            f"from {values.min()} to {values.max()} ({image.mode})."
        )
    return Image.fromarray((values >> 8).astype(np.uint8))


def _resize(image: Any, size: tuple[int, int], fit: ImageFit) -> Any:
    # With Pillow, BILINEAR takes the mean of all pixels when it makes an image smaller.
    resampling = Image.Resampling.BILINEAR
    if fit == ImageFit.STRETCH:
        return image.resize(size, resampling)
    return ImageOps.fit(image, size, resampling)
