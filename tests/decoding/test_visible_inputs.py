import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.data import text_encoder, text_problem
from t2t_mm.decoding import visible_inputs


def test_colours_go_from_dark_to_bright():
    colours = visible_inputs.colour(np.array([[1.0, 3.0], [2.0, 1.0]]))

    brightness = colours.astype(int).sum(-1)
    assert colours.dtype == np.uint8
    assert brightness[0, 0] == brightness[1, 1] < brightness[1, 0] < brightness[0, 1]


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_silence_is_a_picture_too(value):
    picture = visible_inputs.to_picture(np.full((5, 3, 1), value, np.float32))

    assert picture.shape == (3, 5, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_ids_are_shown_as_text():
    registry.import_registrations()
    problem = registry.problem("copy_digits")
    ids = np.array([*text_encoder.ByteTextEncoder().encode("123"), 1])

    assert visible_inputs.to_text(problem, ids, vocab_dir="unused") == "123"


def test_prompts_are_shown_as_text():
    class Words(text_problem.Text2SelfProblem):
        vocab_type = "byte"

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            yield {"targets": "123"}

    ids = np.array(text_encoder.ByteTextEncoder().encode("12"))

    assert visible_inputs.to_text(Words(), ids, vocab_dir="unused") == "12"


def test_unknown_inputs_are_described():
    registry.import_registrations()
    problem = registry.problem("miniworld_class")

    text = visible_inputs.to_text(
        problem, np.zeros((7, 2), np.float32), vocab_dir="unused"
    )

    assert text == "float32 of shape [7, 2]"
