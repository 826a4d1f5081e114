import dataclasses

import numpy as np
import pytest

from t2t_mm.problems.miniworld import pictures, shapes
from t2t_mm.problems.miniworld import scene as scene_lib


def group(**changes):
    return dataclasses.replace(
        scene_lib.Group(shape="ball", colour="red", size="big"), **changes
    )


def picture(*groups, form="alone", seed=0):
    return pictures.draw(scene_lib.Scene(form, groups), np.random.default_rng(seed))


def centre_of(image, channel):
    """Returns (x, y) of the pixels in which one colour channel stands out."""
    others = np.delete(image, channel, axis=2).max(axis=2).astype(int)
    rows, columns = np.nonzero(image[:, :, channel].astype(int) > others + 60)
    return columns.mean(), rows.mean()


@pytest.mark.parametrize("form", scene_lib.FORMS)
def test_pictures_have_one_shape_and_type(form):
    rng = np.random.default_rng(0)
    scenes = (scene_lib.sample_scene(rng) for _ in range(1000))
    scene = next(scene for scene in scenes if scene.form == form)

    image = pictures.draw(scene, rng)

    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8


def test_the_same_seed_gives_the_same_picture():
    np.testing.assert_array_equal(picture(group()), picture(group()))


def test_another_seed_gives_another_picture():
    assert (picture(group()) != picture(group(), seed=1)).any()


@pytest.mark.parametrize(
    "changes",
    [{"shape": "star"}, {"colour": "blue"}, {"pattern": "striped"}, {"size": "small"}],
)
def test_pictures_differ_where_scenes_differ(changes):
    first = picture(group()).astype(int)
    second = picture(group(**changes)).astype(int)

    assert (np.abs(first - second).max(axis=2) > 60).sum() > 20


def blobs(mask):
    """Returns how many connected regions of True `mask` `[height, width]` has."""
    waiting = set(zip(*np.nonzero(mask), strict=True))
    count = 0
    while waiting:
        count += 1
        edge = [waiting.pop()]
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & waiting
            waiting -= near
            edge += near
    return count


@pytest.mark.parametrize("count", [1, 2, 3])
def test_there_are_as_many_objects_as_the_scene_says(count):
    image = picture(group(count=count)).astype(int)

    assert blobs(image[:, :, 0] > image[:, :, 1:].max(axis=2) + 60) == count


@pytest.mark.parametrize("seed", range(10))
def test_the_subject_is_left(seed):
    image = picture(group(), group(colour="blue", shape="star"), form="left", seed=seed)

    assert centre_of(image, 0)[0] < centre_of(image, 2)[0] - 15


@pytest.mark.parametrize("seed", range(10))
def test_the_subject_is_above(seed):
    image = picture(
        group(), group(colour="blue", shape="star"), form="above", seed=seed
    )

    assert centre_of(image, 0)[1] < centre_of(image, 2)[1] - 15


@pytest.mark.parametrize("count", [1, 2, 3])
def test_no_object_is_cut_off(count):
    for form in ("left", "above", "alone"):
        other = (group(shape="star", colour="blue"),) if form != "alone" else ()
        for seed in range(5):
            image = picture(group(count=count), *other, form=form, seed=seed)
            border = np.concatenate(
                [image[0], image[-1], image[:, 0], image[:, -1]]
            ).astype(int)
            assert (border.max(axis=1) - border.min(axis=1)).max() < 60


@pytest.mark.parametrize("shape", scene_lib.SHAPES)
def test_outlines_are_negative_inside_only(shape):
    far = np.array([-1.3, 1.3])

    assert (shapes.OUTLINES[shape](far, np.zeros(2)) > 0.05).all()
    assert (shapes.OUTLINES[shape](np.zeros(2), far) > 0.05).all()
    inside = -0.74 if shape == "ring" else 0.0
    assert shapes.OUTLINES[shape](np.zeros(1), np.full(1, inside)) < 0


def test_ring_has_a_hole():
    assert shapes.OUTLINES["ring"](np.zeros(1), np.zeros(1)) > 0


def crops(shape, pattern, count, rng):
    """Returns pictures of one small object, cut around it: `[count, pixels]`."""
    scene = scene_lib.Scene(
        "alone", (group(shape=shape, pattern=pattern, size="small"),)
    )
    found = []
    for _ in range(count):
        image = pictures.draw(scene, rng).astype(np.float32)
        excess = (image[:, :, 0] - image[:, :, 1]).clip(40, None) - 40
        excess /= excess.sum()
        row = int(round((excess.sum(1) * np.arange(64)).sum()))
        column = int(round((excess.sum(0) * np.arange(64)).sum()))
        found.append(image[row - 9 : row + 10, column - 9 : column + 10].ravel())
    return np.stack(found)


def test_small_shapes_and_patterns_can_be_told_apart():
    rng = np.random.default_rng(0)
    kinds = [
        (shape, pattern) for shape in scene_lib.SHAPES for pattern in scene_lib.PATTERNS
    ]
    known = np.concatenate([crops(*kind, 40, rng) for kind in kinds])
    fresh = np.concatenate([crops(*kind, 8, rng) for kind in kinds])

    distances = (known**2).sum(1) - 2 * fresh @ known.T
    nearest = distances.argmin(axis=1) // 40

    right = nearest == np.repeat(np.arange(len(kinds)), 8)
    assert right.mean() > 0.85
