"""The grammar of the world: which scenes there are and which split each belongs to."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator

import numpy as np

SHAPES = ("ball", "star", "ring", "heart", "cross", "triangle", "flower", "diamond")
COLOURS = ("red", "blue", "green", "yellow", "purple", "white")
PATTERNS = ("plain", "striped", "dotted")
SIZES = ("small", "big")
MAX_COUNT = 3  # objects in one group
SPLITS = ("train", "dev", "test")

CLASS_NAMES = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

_PATTERN_WEIGHTS = (0.7, 0.15, 0.15)
_COUNT_WEIGHTS = (0.6, 0.25, 0.15)
_SPLIT_BUCKETS = 20  # one bucket each for test and dev, the rest for training
_MAX_REPEATS = 100  # in a row before all scenes may come again


@dataclasses.dataclass(frozen=True, kw_only=True)
class Form:
    """What all scenes with one relation have in common.

    Attributes:
      num_groups: groups of objects in the scene.
      num_plural: how many of them, from the first on, may have several objects.
      sized: whether the groups are small or big; else no size is drawn or told.
      weight: how often the form is sampled, relative to the others.
    """

    num_groups: int
    num_plural: int
    sized: bool
    weight: float


# The first group is the subject of the sentence. The others are, in this order:
FORMS = {
    "alone": Form(num_groups=1, num_plural=1, sized=True, weight=1.0),
    "left": Form(num_groups=2, num_plural=2, sized=True, weight=2.0),  # right
    "above": Form(num_groups=2, num_plural=2, sized=True, weight=2.0),  # below
    "inside": Form(num_groups=2, num_plural=1, sized=False, weight=1.5),  # around
    "between": Form(num_groups=3, num_plural=1, sized=False, weight=1.0),  # left, right
    "corner": Form(num_groups=3, num_plural=1, sized=False, weight=1.0),  # below, right
    "pair": Form(num_groups=3, num_plural=1, sized=False, weight=1.0),  # right, below
    "nested": Form(
        num_groups=3, num_plural=0, sized=False, weight=1.0
    ),  # around, right
}
_CONTAINING_FORMS = ("inside", "nested")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """One to three objects that look the same.

    Attributes:
      shape: one of `SHAPES`.
      colour: one of `COLOURS`.
      pattern: one of `PATTERNS`.
      size: one of `SIZES`, or empty if the form of the scene is not sized.
      count: number of objects, 1 to `MAX_COUNT`.
    """

    shape: str
    colour: str
    pattern: str = "plain"
    size: str = ""
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Scene:
    """Groups of objects and the relation between them.

    Attributes:
      form: one of `FORMS`.
      groups: the subject, then the groups that it is related to.
    """

    form: str
    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        """Checks that the groups fit the form.

        Raises:
          ValueError: if their number is wrong or a size is missing or superfluous.
        """
        form = FORMS[self.form]
        if len(self.groups) != form.num_groups:
            raise ValueError(
                f"A scene '{self.form}' needs {form.num_groups} groups, "
                f"got {len(self.groups)}."
            )
        if any(bool(group.size) != form.sized for group in self.groups):
            rule = "a size for every group" if form.sized else "groups without a size"
            raise ValueError(f"A scene '{self.form}' needs {rule}, got {self.groups}.")


def key(scene: Scene) -> str:
    """Returns the canonical name of a scene: equal for equal scenes only."""
    groups = (
        f"{group.count} {group.size} {group.pattern} {group.colour} {group.shape}"
        for group in scene.groups
    )
    return f"{scene.form}: {'; '.join(groups)}"


def split_of(scene: Scene) -> str:
    """Returns the split that a scene belongs to in every problem, one of `SPLITS`."""
    digest = hashlib.sha1(key(scene).encode(), usedforsecurity=False).digest()
    bucket = int.from_bytes(digest, "big") % _SPLIT_BUCKETS
    return {0: "test", 1: "dev"}.get(bucket, "train")


def class_of(scene: Scene) -> int:
    """Returns the index in `CLASS_NAMES` of the subject's colour and shape."""
    subject = scene.groups[0]
    return CLASS_NAMES.index(f"{subject.colour} {subject.shape}")


def _draw(rng: np.random.Generator, weights: tuple[float, ...]) -> int:
    """Returns an index, sampled in proportion to `weights`."""
    bounds = np.cumsum(weights)
    return int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))


def _sample_group(rng: np.random.Generator, *, sized: bool, plural: bool) -> Group:
    """Samples one group."""
    return Group(
        shape=SHAPES[rng.integers(len(SHAPES))],
        colour=COLOURS[rng.integers(len(COLOURS))],
        pattern=PATTERNS[_draw(rng, _PATTERN_WEIGHTS)],
        size=SIZES[rng.integers(len(SIZES))] if sized else "",
        count=1 + _draw(rng, _COUNT_WEIGHTS) if plural else 1,
    )


def _can_be_told_apart(form: str, groups: tuple[Group, ...]) -> bool:
    """Returns whether a picture of the groups can be read in one way only."""
    if form in _CONTAINING_FORMS and groups[0].colour == groups[1].colour:
        return False
    return len({(group.shape, group.colour) for group in groups}) == len(groups)


def sample_scene(rng: np.random.Generator, *, max_groups: int = 3) -> Scene:
    """Samples a scene with at most `max_groups` groups.

    Raises:
      ValueError: if `max_groups` is less than one.
    """
    if max_groups < 1:
        raise ValueError(f"`max_groups` ({max_groups}) must be at least 1.")
    names = [name for name, form in FORMS.items() if form.num_groups <= max_groups]
    name = names[_draw(rng, tuple(FORMS[name].weight for name in names))]
    form = FORMS[name]
    while True:
        groups = tuple(
            _sample_group(rng, sized=form.sized, plural=index < form.num_plural)
            for index in range(form.num_groups)
        )
        if _can_be_told_apart(name, groups):
            return Scene(name, groups)


def scenes(
    split: str,
    count: int,
    seed: int,
    *,
    max_groups: int = 3,
    keep: Callable[[Scene], bool] = lambda scene: True,
) -> Iterator[Scene]:
    """Yields scenes of one split; a scene repeats only where others are hard to find.

    Args:
      split: one of `SPLITS`.
      count: number of scenes.
      seed: the same seed gives the same scenes.
      max_groups: largest number of groups in a scene.
      keep: says which scenes are wanted; should accept a fair part of them.

    Raises:
      ValueError: if there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {SPLITS}, got '{split}'.")
    rng = np.random.default_rng((seed, SPLITS.index(split)))
    seen: set[str] = set()
    repeats = 0
    while count > 0:
        scene = sample_scene(rng, max_groups=max_groups)
        if split_of(scene) != split or not keep(scene):
            continue
        if key(scene) in seen:
            repeats += 1
            if repeats < _MAX_REPEATS:
                continue
            seen.clear()  # all there are have had their turn
        seen.add(key(scene))
        repeats = 0
        count -= 1
        yield scene
