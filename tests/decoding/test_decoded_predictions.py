import numpy as np

from t2t_mm.decoding import decoded_predictions
from t2t_mm.decoding.decoder import Decoded


def _decoded(pixels, reference, output):
    return Decoded(np.array(pixels, np.uint8), reference, output)


# Two images; the captions of the first stand apart, as in buckets of lengths.
CAPTIONED = [
    _decoded([[1, 2]], "a bus", "bus"),
    _decoded([[3, 4]], "a cat", "cat"),
    _decoded([[1, 2]], "a red bus", "bus"),
    _decoded([[1], [2]], "not the same image", "x"),
]


def test_records_of_one_image_are_one_example_with_all_its_captions():
    found = decoded_predictions.collect(CAPTIONED, several_references=True)

    assert found.outputs == ["bus", "cat", "x"]
    assert found.references == [
        ["a bus", "a red bus"],
        ["a cat"],
        ["not the same image"],
    ]


def test_elsewhere_every_record_is_an_example():
    found = decoded_predictions.collect(CAPTIONED)

    assert found.outputs == ["bus", "cat", "bus", "x"]
    assert [len(references) for references in found.references] == [1, 1, 1, 1]
