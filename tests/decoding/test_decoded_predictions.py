import numpy as np
import pytest
from absl import logging

import tiny_models
from t2t_mm import registry
from t2t_mm.data import generation, image_problem, text_problem
from t2t_mm.decoding import decoded_predictions
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.decoder import Decoded, Decoder
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.features import Split


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


class Captions(image_problem.Image2TextProblem):
    """Three pictures with one, two and three captions of different lengths."""

    name = "captions"
    image_shape = (16, 24, 3)
    vocab_type = text_problem.VocabType.BYTE
    dataset_splits = [{"split": split, "shards": 1} for split in Split]

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for count in (1, 2, 3):
            picture = np.full(self.image_shape, 40 * count, np.uint8)
            for number in range(count):
                text = f"{count} {'x' * 9 * number}"
                yield {"inputs": picture, "targets": text}


@pytest.mark.slow
def test_captions_of_an_image_come_together_from_records(
    tmp_path, registrations, monkeypatch
):
    problem = Captions()
    generation.generate(problem, str(tmp_path), str(tmp_path))
    hparams = tiny_models.make_hparams("transformer_tiny", num_hidden_layers=1)
    specs = {"captions": problem.feature_specs(str(tmp_path))}
    decoder = Decoder(
        registry.MODELS.get("transformer")(hparams, specs),
        problem,
        config=DecodeConfig(extra_length=1),
        vocab_dir=str(tmp_path),
    )

    lines = []
    monkeypatch.setattr(decoded_predictions, "_SECONDS_BETWEEN_LINES", 0.0)
    monkeypatch.setattr(logging, "info", lambda text, *values: lines.append(values))

    found = decoded_predictions.of_split(decoder, Split.EVAL, str(tmp_path))

    assert lines[-6:] == [("captions | dev", number) for number in range(1, 7)]
    captions = sorted(sorted(references) for references in found.references)
    assert captions == [
        ["1 "],
        ["2 ", "2 " + 9 * "x"],
        ["3 ", "3 " + 9 * "x", "3 " + 18 * "x"],
    ]
    assert len(found.outputs) == 3


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
