import itertools

import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.data import generation, options, text_encoder
from t2t_mm.features import Split
from t2t_mm.problems.miniworld import problems
from t2t_mm.problems.miniworld import scene as scene_lib

TEXT_PROBLEMS = [f"miniworld_{name}" for name in ("parsing", "ende", "deen", "enfr")]
TEXT_PROBLEMS.append("miniworld_defr")
PICTURE_PROBLEMS = ["miniworld_class", "miniworld_caption"]
PROBLEMS = ["miniworld_speech", *PICTURE_PROBLEMS, *TEXT_PROBLEMS]


def samples(name, split, count):
    problem = registry.problem(name)
    return list(itertools.islice(problem.generate_samples("", "", split), count))


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_same_seed_gives_the_same_samples(name):
    for first, second in zip(
        samples(name, Split.TRAIN, 3), samples(name, Split.TRAIN, 3), strict=True
    ):
        np.testing.assert_array_equal(first["inputs"], second["inputs"])
        assert first["targets"] == second["targets"]


@pytest.mark.parametrize("name", PROBLEMS)
def test_scenes_come_from_the_split_that_is_asked_for(name, monkeypatch):
    problem_cls = registry.PROBLEMS.get(name)
    monkeypatch.setattr(problem_cls, "sample", lambda self, scene, rng: scene)

    for split in Split:
        for scene in samples(name, split, 5):
            assert scene_lib.split_of(scene) == split.value


@pytest.mark.parametrize("name", TEXT_PROBLEMS)
def test_text_samples_are_two_texts(name):
    for sample in samples(name, Split.EVAL, 5):
        assert isinstance(sample["inputs"], str)
        assert isinstance(sample["targets"], str)


def test_class_samples_are_a_picture_and_a_label():
    for sample in samples("miniworld_class", Split.TEST, 5):
        assert sample["inputs"].shape == (64, 64, 3)
        assert sample["inputs"].dtype == np.uint8
        assert 0 <= sample["targets"] < 48


def test_caption_samples_are_a_picture_and_a_text():
    (sample,) = samples("miniworld_caption", Split.TEST, 1)

    assert sample["inputs"].shape == (64, 64, 3)
    assert sample["targets"].endswith(" .")


def test_speech_samples_are_a_short_waveform_and_its_words():
    for sample in samples("miniworld_speech", Split.EVAL, 20):
        assert sample["inputs"].dtype == np.float32
        assert len(sample["inputs"]) / 8000 < 3.6
        assert len(sample["targets"]) <= problems.MAX_SPOKEN_LETTERS


def test_problems_see_scenes_of_their_own():
    english = {
        name: [sample["inputs"] for sample in samples(name, Split.TRAIN, 20)]
        for name in ("miniworld_parsing", "miniworld_ende", "miniworld_enfr")
    }

    for first, second in itertools.combinations(english.values(), 2):
        assert first != second


@pytest.mark.parametrize("name", ["miniworld_speech", "miniworld_class"])
def test_records_are_made_for_all_splits(name, tmp_path):
    chosen = options.GenerationOptions(max_cases=6)

    manifest = generation.generate(
        registry.problem(name), str(tmp_path), str(tmp_path / "tmp"), chosen
    )

    assert set(manifest.splits) == {"train", "dev", "test"}


def test_the_vocabulary_has_nearly_every_word_whole(tmp_path):
    chosen = options.GenerationOptions(max_cases=400)
    for name in TEXT_PROBLEMS:
        generation.generate(
            registry.problem(name), str(tmp_path), str(tmp_path / "tmp"), chosen
        )
    path = tmp_path / problems.VOCABULARY.filename
    encoder = text_encoder.load_subword_encoder(str(path))

    for name in TEXT_PROBLEMS:
        pairs = (sample.values() for sample in samples(name, Split.EVAL, 30))
        texts = list(itertools.chain.from_iterable(pairs))
        # The slash of a closing label is a subword of its own.
        num_words = sum(len(text.split()) + text.count("/") for text in texts)
        num_ids = sum(len(encoder.encode(text)) for text in texts)
        assert num_ids < 1.15 * num_words
