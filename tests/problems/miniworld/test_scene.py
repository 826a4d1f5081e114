import itertools

import numpy as np
import pytest

from t2t_mm.problems.miniworld import scene as scene_lib


def sampled(count, seed=0, max_groups=3):
    rng = np.random.default_rng(seed)
    return [scene_lib.sample_scene(rng, max_groups=max_groups) for _ in range(count)]


def test_the_same_seed_gives_the_same_scenes():
    first = list(scene_lib.scenes("train", 50, seed=3))
    second = list(scene_lib.scenes("train", 50, seed=3))

    assert first == second
    assert first != list(scene_lib.scenes("train", 50, seed=4))


def test_every_scene_is_in_the_split_it_was_asked_from():
    for split in scene_lib.SPLITS:
        for scene in scene_lib.scenes(split, 30, seed=1):
            assert scene_lib.split_of(scene) == split


def test_dev_and_test_get_one_scene_in_twenty_each():
    splits = [scene_lib.split_of(scene) for scene in sampled(8000)]

    assert 0.04 < splits.count("dev") / 8000 < 0.06
    assert 0.04 < splits.count("test") / 8000 < 0.06


@pytest.mark.parametrize(
    ("colour", "shape", "split"),
    [
        ("red", "ball", "train"),
        ("white", "heart", "dev"),
        ("green", "diamond", "test"),
    ],
)
def test_the_split_of_a_scene_never_changes(colour, shape, split):
    group = scene_lib.Group(shape=shape, colour=colour, size="big")

    # In another split, a model that is trained already would have seen test scenes.
    assert scene_lib.split_of(scene_lib.Scene("alone", (group,))) == split


def test_scenes_do_not_repeat_while_there_are_others():
    keys = [scene_lib.key(scene) for scene in scene_lib.scenes("dev", 300, seed=0)]

    assert len(set(keys)) == 300


def test_scenes_repeat_when_there_are_no_others():
    stream = scene_lib.scenes("test", 60, seed=0, max_groups=1)
    keys = [scene_lib.key(scene) for scene in stream]

    assert len(keys) == 60
    assert 30 < len(set(keys)) < 60


@pytest.mark.parametrize("max_groups", [1, 2, 3])
def test_max_groups_limits_the_groups(max_groups):
    sizes = {len(scene.groups) for scene in sampled(300, max_groups=max_groups)}

    assert sizes == set(range(1, max_groups + 1))


def test_all_forms_and_words_occur():
    scenes = sampled(2000)
    groups = list(itertools.chain.from_iterable(scene.groups for scene in scenes))

    assert {scene.form for scene in scenes} == set(scene_lib.FORMS)
    assert {group.shape for group in groups} == set(scene_lib.SHAPES)
    assert {group.colour for group in groups} == set(scene_lib.COLOURS)
    assert {group.pattern for group in groups} == set(scene_lib.PATTERNS)
    assert {group.size for group in groups} == {*scene_lib.SIZES, ""}
    assert {group.count for group in groups} == {1, 2, 3}


def test_groups_of_a_scene_can_be_told_apart():
    for scene in sampled(2000):
        kinds = {(group.shape, group.colour) for group in scene.groups}
        assert len(kinds) == len(scene.groups)
        if scene.form in ("inside", "nested"):
            assert scene.groups[0].colour != scene.groups[1].colour


def test_class_is_the_colour_and_shape_of_the_subject():
    star = scene_lib.Group(shape="star", colour="blue", size="big")
    ball = scene_lib.Group(shape="ball", colour="red", size="small")

    label = scene_lib.class_of(scene_lib.Scene("left", (star, ball)))

    assert scene_lib.CLASS_NAMES[label] == "blue star"
    assert len(set(scene_lib.CLASS_NAMES)) == 48


def test_a_scene_with_the_wrong_number_of_groups_is_an_error():
    ball = scene_lib.Group(shape="ball", colour="red", size="big")

    with pytest.raises(ValueError, match="'left' needs 2 groups, got 1"):
        scene_lib.Scene("left", (ball,))


def test_a_scene_without_a_size_that_it_tells_is_an_error():
    ball = scene_lib.Group(shape="ball", colour="red")

    with pytest.raises(ValueError, match="'alone' needs a size for every group"):
        scene_lib.Scene("alone", (ball,))


def test_an_unknown_split_is_an_error():
    with pytest.raises(ValueError, match="must be one of .*'eval'"):
        next(scene_lib.scenes("eval", 1, seed=0))
