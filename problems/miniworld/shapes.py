"""The outlines and patterns of single objects, as functions of the plane.

An outline is a signed distance, negative inside, of points `x`, `y` (any equal shapes,
x to the right and y down) from the edge of a shape about as big as the unit circle.
Distances need to be true near the edge only.
"""

from collections.abc import Callable

import numpy as np

_STAR_POINTS = 5
_STAR_WAIST = 0.45  # radius of the inner corners; of the points it is 1.05
_PETALS = 5


def _ball(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.hypot(x, y) - 0.92


def _ring(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.74) - 0.25


def _diamond(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    half_width, half_height = 0.76, 1.1
    scaled = np.abs(x) * half_height + np.abs(y) * half_width - half_width * half_height
    return scaled / np.hypot(half_width, half_height)


def _cross(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    across, along = np.abs(x), np.abs(y)
    upright = np.maximum(across - 0.33, along - 1.0)
    return np.minimum(upright, np.maximum(across - 1.0, along - 0.33))


def _triangle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sides = np.abs(x) * 0.866 - (y - 0.12) * 0.5
    return np.maximum(sides, y - 0.12) - 0.55


def _star(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    sector = 2 * np.pi / _STAR_POINTS
    # All points fold onto half a sector, from a point of the star (angle 0) to a waist.
    angle = np.abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    radius = np.hypot(x, y)
    point = np.array([1.05, 0.0])
    waist = _STAR_WAIST * np.array([np.cos(sector / 2), np.sin(sector / 2)])
    normal = np.array([waist[1] - point[1], point[0] - waist[0]])
    normal /= np.hypot(*normal)
    return (radius * np.cos(angle) - point[0]) * normal[0] + (
        radius * np.sin(angle)
    ) * normal[1]


def _flower(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    angle = _PETALS / 2 * np.arctan2(x, -y)
    edge = 0.56 + 0.43 * np.abs(np.cos(angle))
    # How far the edge runs askew to the circle, so that distances are true near it.
    slope = 0.43 * _PETALS / 2 * np.sin(angle) / edge
    return (np.hypot(x, y) - edge) / np.hypot(1.0, slope)


def _heart(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    # After Quilez, https://iquilezles.org/articles/distfunctions2d: a square on its
    # corner, tip at the origin and y up, with half discs on its two upper sides.
    size = 1.7
    across, up = np.abs(x) / size, 0.93 / size - y / size
    lobe = np.hypot(across - 0.25, up - 0.75) - np.sqrt(0.125)
    foot = np.maximum(across + up, 0.0) / 2
    nearest = np.minimum(np.hypot(across, up - 1.0), np.hypot(across - foot, up - foot))
    square = nearest * np.sign(across - up)
    return size * np.where(across + up > 1.0, lobe, square)


OUTLINES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ball": _ball,
    "star": _star,
    "ring": _ring,
    "heart": _heart,
    "cross": _cross,
    "triangle": _triangle,
    "flower": _flower,
    "diamond": _diamond,
}


def stripes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the signed distance from diagonal stripes with a period of one."""
    across = (x + y) * np.sqrt(0.5)
    return np.abs((across + 0.5) % 1.0 - 0.5) - 0.25


def dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the signed distance from dots, one apart in x and in y."""
    return np.hypot((x + 0.5) % 1.0 - 0.5, (y + 0.5) % 1.0 - 0.5) - 0.3
