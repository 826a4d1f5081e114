import numpy as np

from t2t_mm import registry
from t2t_mm.decoding import decoded_predictions
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.decoder import Decoded, Hypothesis


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


def test_several_outputs_are_candidates():
    results = [Hypothesis(text, [], -1.0) for text in ("cat", "dog")]
    examples = [CAPTIONED[0]._replace(output="cat", results=results)]

    assert decoded_predictions.collect(examples).candidates == [["cat", "dog"]]
    only = [examples[0]._replace(results=results[:1])]
    assert decoded_predictions.collect(only).candidates is None


def test_classes_are_decoded_with_five_candidates_and_texts_as_asked(registrations):
    config = DecodeConfig(extra_length=9)
    classes, texts = registry.problem("mnist"), registry.problem("copy_digits")

    found = decoded_predictions.scoring_config(classes, config)

    assert (found.beam_size, found.return_beams, found.extra_length) == (5, True, 9)
    assert decoded_predictions.scoring_config(texts, config) == config


def test_elsewhere_every_record_is_an_example():
    found = decoded_predictions.collect(CAPTIONED)

    assert found.outputs == ["bus", "cat", "bus", "x"]
    assert [len(references) for references in found.references] == [1, 1, 1, 1]
