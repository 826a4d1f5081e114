"""Eight tasks about one small world, in four modalities, that fit on any computer.

A scene belongs to the same split in all of them, so that a model that learns them
together never meets a dev or test scene in the clothes of another task.
"""

import abc
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from t2t_mm import problem, registry
from t2t_mm.data import audio_problem, image_problem, text_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import parsing
from t2t_mm.problems.miniworld import pictures, sentences, speech
from t2t_mm.problems.miniworld import scene as scene_lib

MAX_SPOKEN_LETTERS = 48  # about three seconds

VOCABULARY = registry.register_vocabulary(
    registry.VocabularySpec(
        name="miniworld",
        approx_vocab_size=2**10,
        # Between them these have every word of every task.
        problems=("miniworld_ende", "miniworld_enfr", "miniworld_parsing"),
    )
)


class MiniworldProblem(problem.Problem):
    """A task that follows from a scene.

    Attributes:
      num_scenes: number of samples of each split.
      stream: number of the problem's own sequence of scenes.
      max_groups: largest number of groups in a scene.
    """

    generator_version = 2
    num_scenes: ClassVar[Mapping[Split, int]] = {
        Split.TRAIN: 12_000,
        Split.EVAL: 400,
        Split.TEST: 400,
    }
    stream: ClassVar[int]
    max_groups: ClassVar[int] = 3
    vocabulary: ClassVar[str | None] = VOCABULARY.name

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": Split.TRAIN, "shards": 4},
            {"split": Split.EVAL, "shards": 1},
            {"split": Split.TEST, "shards": 1},
        ]

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records."""
        return {
            **super().generation_settings(),
            "num_scenes": {str(split): n for split, n in self.num_scenes.items()},
            "max_groups": self.max_groups,
        }

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any]]:
        """Yields the samples of one split, from the same scenes for the same seed."""
        split = Split(dataset_split)
        # Sets the problems' scenes apart, whatever seeds users choose.
        seed = self.random_seed * 1000 + self.stream
        scenes = scene_lib.scenes(
            split.value,
            self.num_scenes[split],
            seed,
            max_groups=self.max_groups,
            keep=self.keep,
        )
        rng = np.random.default_rng((seed, scene_lib.SPLITS.index(split.value), 1))
        for scene in scenes:
            yield self.sample(scene, rng)

    def keep(self, scene: scene_lib.Scene) -> bool:
        """Returns whether the problem wants a scene."""
        return True

    @abc.abstractmethod
    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns the inputs and targets that a scene stands for."""


@registry.register_problem("miniworld_speech")
class MiniworldSpeech(MiniworldProblem, audio_problem.Audio2TextProblem):
    """Speech to English, for short sentences."""

    stream = 0
    max_groups = 2
    sample_rate = speech.SAMPLE_RATE
    target_space = SpaceId.EN_TOK

    def keep(self, scene: scene_lib.Scene) -> bool:
        """Returns whether the sentence is short enough to be spoken."""
        return len(sentences.spoken(scene)) <= MAX_SPOKEN_LETTERS

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns an utterance and its words."""
        text = sentences.spoken(scene)
        return {"inputs": speech.speak(text, rng), "targets": text}


class _PictureProblem(MiniworldProblem, image_problem.ImageProblem):
    """A task about a picture of a scene."""

    image_shape = (pictures.PICTURE_SIZE, pictures.PICTURE_SIZE, 3)


@registry.register_problem("miniworld_class")
class MiniworldClass(_PictureProblem, image_problem.Image2ClassProblem):
    """Picture to the colour and shape of the subject of its sentence."""

    stream = 1
    max_groups = 1
    class_names = scene_lib.CLASS_NAMES

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a picture and its class."""
        label = scene_lib.class_of(scene)
        return {"inputs": pictures.draw(scene, rng), "targets": label}


@registry.register_problem("miniworld_caption")
class MiniworldCaption(_PictureProblem, image_problem.Image2TextProblem):
    """Picture to English."""

    stream = 2
    max_groups = 2
    target_space = SpaceId.EN_TOK

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a picture and the sentence that describes it."""
        targets = sentences.english(scene)
        return {"inputs": pictures.draw(scene, rng), "targets": targets}


@registry.register_problem("miniworld_parsing")
class MiniworldParsing(MiniworldProblem, text_problem.Text2TextProblem):
    """English to its linearised parse."""

    stream = 3
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.PARSE_TOK
    scores = ("exact", "well_formed", "labelled_f1")
    output_rule = parsing.PENN_TREES

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a sentence and its parse."""
        targets = sentences.linearised_parse(scene)
        return {"inputs": sentences.english(scene), "targets": targets}


@registry.register_problem("miniworld_ende")
class MiniworldEnde(MiniworldProblem, text_problem.Text2TextProblem):
    """English to German."""

    stream = 4
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.DE_TOK

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a sentence and its translation."""
        return {"inputs": sentences.english(scene), "targets": sentences.german(scene)}


@registry.register_problem("miniworld_deen")
class MiniworldDeen(MiniworldProblem, text_problem.Text2TextProblem):
    """German to English."""

    stream = 5
    input_space = SpaceId.DE_TOK
    target_space = SpaceId.EN_TOK

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a sentence and its translation."""
        return {"inputs": sentences.german(scene), "targets": sentences.english(scene)}


@registry.register_problem("miniworld_enfr")
class MiniworldEnfr(MiniworldProblem, text_problem.Text2TextProblem):
    """English to French."""

    stream = 6
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.FR_TOK

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a sentence and its translation."""
        return {"inputs": sentences.english(scene), "targets": sentences.french(scene)}


@registry.register_problem("miniworld_defr")
class MiniworldDefr(MiniworldProblem, text_problem.Text2TextProblem):
    """German to French."""

    stream = 7
    input_space = SpaceId.DE_TOK
    target_space = SpaceId.FR_TOK

    def sample(
        self, scene: scene_lib.Scene, rng: np.random.Generator
    ) -> dict[str, Any]:
        """Returns a sentence and its translation."""
        return {"inputs": sentences.german(scene), "targets": sentences.french(scene)}
