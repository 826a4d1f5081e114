"""Pictures of scenes.

Where things are says how they are related: two groups side by side, one above the
other, or one within the other; three in a row, in three corners, or one within another
beside a third. Only the shape, colour, pattern, size and number that the sentences tell
stay; place, shade, angle and background vary.
"""

from typing import NamedTuple

import numpy as np

from t2t_mm.problems.miniworld import scene as scene_lib
from t2t_mm.problems.miniworld import shapes

PICTURE_SIZE = 64  # pixels, height and width

_COLOURS = {  # red, green and blue from 0 to 1
    "red": (0.88, 0.13, 0.12),
    "blue": (0.13, 0.33, 0.95),
    "green": (0.10, 0.68, 0.20),
    "yellow": (0.96, 0.86, 0.12),
    "purple": (0.62, 0.18, 0.78),
    "white": (0.96, 0.96, 0.96),
}
_COLOUR_JITTER = 0.05  # standard deviation per channel
_INK = 0.45  # what is left of the colour in its stripes, dots and outline
_OUTLINE_WIDTH = 0.7  # pixels
_MAX_ANGLE = 0.2  # radians

# Pixels, smallest and largest, for one, two and three objects. The empty size is that
# of unsized forms.
_Radii = tuple[tuple[float, float], ...]
_RADII: dict[str, _Radii] = {
    "small": ((7.0, 8.0), (6.4, 7.2), (5.8, 6.6)),
    "big": ((13.0, 14.5), (11.0, 12.0), (9.2, 9.9)),
    "": ((7.0, 7.8),) * 3,
}
_ALONE_RADII: dict[str, _Radii] = {
    "small": ((12.0, 14.0), (9.5, 10.5), (8.5, 9.5)),
    "big": ((22.0, 25.0), (14.0, 15.0), (12.5, 13.5)),
}
_CONTAINER_RADII = {"inside": (22.0, 25.0), "nested": (15.5, 17.0)}
_CONTAINED_RADII: dict[str, _Radii] = {
    "inside": ((8.5, 9.5), (6.6, 7.4), (6.0, 6.8)),
    "nested": ((5.4, 6.0),) * 3,
}


class _Place(NamedTuple):
    """Where a group goes.

    Attributes:
      x: centre in pixels from the left.
      y: centre in pixels from the top.
      spread: how far the centre may be off, in pixels, in x and in y.
      direction: of the line that several objects form: "row", "column" or "cluster".
    """

    x: float
    y: float
    spread: tuple[float, float]
    direction: str = "cluster"


_PLACES = {  # of the groups of each form in the order of `scene.FORMS`
    "alone": (_Place(32, 32, (8, 8)),),
    "left": (
        _Place(16.5, 32, (2, 5), "column"),
        _Place(47.5, 32, (2, 5), "column"),
    ),
    "above": (
        _Place(32, 16.5, (5, 2), "row"),
        _Place(32, 47.5, (5, 2), "row"),
    ),
    "inside": (_Place(32, 32, (1.5, 1.5)), _Place(32, 32, (1, 1))),
    "between": (
        _Place(32, 32, (1, 5), "column"),
        _Place(10.5, 32, (1, 7)),
        _Place(53.5, 32, (1, 7)),
    ),
    "corner": (
        _Place(17, 17, (1, 1)),
        _Place(15, 50, (3, 3)),
        _Place(50, 15, (3, 3)),
    ),
    "pair": (
        _Place(17, 17, (1, 1)),
        _Place(49, 17, (3, 3)),
        _Place(35, 50, (3, 3)),
    ),
    "nested": (
        _Place(19, 32, (1, 1)),
        _Place(19, 32, (1, 6)),
        _Place(51, 32, (2, 9)),
    ),
}


class _Object(NamedTuple):
    """One object to draw, with its centre and radius in pixels."""

    group: scene_lib.Group
    x: float
    y: float
    radius: float


def draw(scene: scene_lib.Scene, rng: np.random.Generator) -> np.ndarray:
    """Returns a picture of a scene: `[64, 64, 3]` uint8."""
    picture = _background(rng)
    for item in _arranged(scene, rng):
        _paint(picture, item, rng)
    picture += rng.normal(0.0, 0.015, picture.shape)
    return (picture.clip(0.0, 1.0) * 255).astype(np.uint8)


def _background(rng: np.random.Generator) -> np.ndarray:
    """Returns a dark slope with a tint: `[64, 64, 3]`."""
    ramp = np.linspace(-0.5, 0.5, PICTURE_SIZE)
    down, across = rng.uniform(-0.06, 0.06, 2)
    slope = down * ramp[:, None] + across * ramp[None, :]
    tint = rng.uniform(0.08, 0.16) + rng.uniform(-0.02, 0.02, 3)
    return slope[:, :, None] + tint


def _arranged(scene: scene_lib.Scene, rng: np.random.Generator) -> list[_Object]:
    """Returns the objects of a scene in the order of drawing, containers first."""
    objects: list[_Object] = []
    for index in reversed(range(len(scene.groups))):
        group, place = scene.groups[index], _PLACES[scene.form][index]
        radius = rng.uniform(*_radius_range(scene, index))
        centre = np.array([place.x, place.y])
        if scene.form in _CONTAINER_RADII and index == 0:
            centre = np.array([objects[-1].x, objects[-1].y])  # of the container
        centre = centre + rng.uniform(-1, 1, 2) * place.spread
        offsets = _offsets(group.count, place.direction, rng) * radius
        centres = _within_picture(centre + offsets, radius)
        objects += [_Object(group, x, y, radius) for x, y in centres]
    return objects


def _within_picture(centres: np.ndarray, radius: float) -> np.ndarray:
    """Moves a whole group, centres `[count, 2]`, so that no object is cut off."""
    margin = radius + 0.5
    below = np.maximum(margin - centres.min(axis=0), 0.0)
    above = np.maximum(centres.max(axis=0) - (PICTURE_SIZE - margin), 0.0)
    return centres + below - above


def _radius_range(scene: scene_lib.Scene, index: int) -> tuple[float, float]:
    """Returns the smallest and largest radius of a group's objects in pixels."""
    group = scene.groups[index]
    if scene.form in _CONTAINER_RADII and index == 1:
        return _CONTAINER_RADII[scene.form]
    if scene.form in _CONTAINER_RADII and index == 0:
        return _CONTAINED_RADII[scene.form][group.count - 1]
    radii = _ALONE_RADII if scene.form == "alone" else _RADII
    return radii[group.size][group.count - 1]


def _offsets(count: int, direction: str, rng: np.random.Generator) -> np.ndarray:
    """Returns where a group's objects are from its centre, `[count, 2]`, in radii."""
    if count == 1:
        return np.zeros((1, 2))
    if direction == "cluster":
        angles = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(count) / count
        distance = 1.15 if count == 2 else 1.3
        return distance * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    along = (np.arange(count) - (count - 1) / 2) * 2.12
    across = rng.uniform(-0.2, 0.2, count)
    pair = (along, across) if direction == "row" else (across, along)
    return np.stack(pair, axis=1)


def _paint(picture: np.ndarray, item: _Object, rng: np.random.Generator) -> None:
    """Draws one object onto `picture` `[64, 64, 3]`."""
    reach = item.radius * 1.2 + 2
    left, right = _window(item.x, reach)
    top, bottom = _window(item.y, reach)
    x = np.arange(left, right)[None, :] + 0.5 - item.x
    y = np.arange(top, bottom)[:, None] + 0.5 - item.y
    angle = rng.uniform(-_MAX_ANGLE, _MAX_ANGLE)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = x * cos + y * sin, y * cos - x * sin  # [height, width] of the window

    group = item.group
    outline = shapes.OUTLINES[group.shape]
    edge = outline(x / item.radius, y / item.radius) * item.radius
    cover = (0.5 - edge).clip(0.0, 1.0)
    ink = (edge + _OUTLINE_WIDTH + 0.5).clip(0.0, 1.0)
    if group.pattern != "plain":
        ink = np.maximum(ink, _pattern_ink(group.pattern, x, y, item.radius))
    colour = _COLOURS[group.colour] + rng.normal(0.0, _COLOUR_JITTER, 3)
    shade = (1.0 - (1.0 - _INK) * ink)[:, :, None] * colour
    region = picture[top:bottom, left:right]
    region += cover[:, :, None] * (shade - region)


def _window(centre: float, reach: float) -> tuple[int, int]:
    """Returns the first and last (exclusive) pixel within `reach` of `centre`."""
    return max(0, int(centre - reach)), min(PICTURE_SIZE, int(centre + reach) + 1)


def _pattern_ink(
    pattern: str, x: np.ndarray, y: np.ndarray, radius: float
) -> np.ndarray:
    """Returns how much of each pixel a pattern darkens, from 0 to 1."""
    period = np.clip(0.7 * radius, 4.0, 6.5)  # pixels
    distance = (shapes.stripes if pattern == "striped" else shapes.dots)(
        x / period, y / period
    )
    return (0.5 - distance * period).clip(0.0, 1.0)
