import numpy as np
import pytest

from t2t_mm import hparam
from t2t_mm.data import generation, pipeline, text_problem
from t2t_mm.features import SpaceId, Split


class _Sentiment(text_problem.Text2ClassProblem):
    name = "sentiment"
    vocab_type = text_problem.VocabType.BYTE
    class_names = ("bad", "good")

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"inputs": "so good", "label": "good"}
        yield {"inputs": "so bad", "label": 0}
        yield {"inputs": "very good", "targets": 1}


def test_labels_are_read_as_numbers_or_names(tmp_path):
    generation.generate(_Sentiment(), str(tmp_path), str(tmp_path))

    hparams = hparam.HParams(batch_examples=3, max_buckets=1)
    (batch,) = pipeline.eval_dataset(_Sentiment(), Split.EVAL, str(tmp_path), hparams)

    words = [
        _Sentiment().text_encoder("").decode(ids) for ids in batch["inputs"].numpy()
    ]
    labels = dict(zip(words, batch["targets"].numpy().tolist(), strict=True))
    assert labels == {"so good": [1], "so bad": [0], "very good": [1]}
    assert batch["targets_length"].numpy().tolist() == [1, 1, 1]


class _Words(text_problem.Text2SelfProblem):
    name = "words"
    vocab_type = text_problem.VocabType.BYTE

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"targets": "one"}
        yield {"targets": "three"}


def test_text_alone_has_no_inputs(tmp_path):
    generation.generate(_Words(), str(tmp_path), str(tmp_path))

    hparams = hparam.HParams(batch_size=24, max_buckets=1)
    (batch,) = pipeline.eval_dataset(_Words(), Split.EVAL, str(tmp_path), hparams)

    assert set(batch) == {"targets", "targets_length"}
    assert batch["targets"].shape == (2, 8)
    texts = [_Words().decode_targets(ids, "") for ids in batch["targets"].numpy()]
    assert sorted(texts) == ["one", "three"]
    assert sorted(batch["targets_length"].numpy()) == [4, 6]


def test_the_spec_of_a_class():
    spec = _Sentiment().feature_specs("")["targets"]

    assert (spec.modality, spec.vocab_size, spec.shape) == ("class_label", 2, (1,))
    assert spec.space_id == SpaceId.IMAGE_LABEL
    assert _Sentiment().metrics[1] == "accuracy_top5"


def test_a_label_out_of_range_is_refused():
    with pytest.raises(ValueError, match="below 2; got 2"):
        _Sentiment().encode({"inputs": "x", "label": 2}, "")


def test_classes_without_names_are_numbered():
    class Numbered(_Sentiment):
        class_names = None
        num_classes = 3

    assert Numbered().decode_targets([2], "") == "ID_2"


def test_tensor2tensors_spelling_of_bytes_works():
    class OldStyle(_Sentiment):
        @property
        def vocab_type(self):
            return text_problem.VocabType.CHARACTER

    assert OldStyle().feature_specs("")["inputs"].vocabulary == "bytes"


def test_an_unknown_vocab_type_is_refused():
    class Wrong(_Sentiment):
        vocab_type = "words"

    with pytest.raises(ValueError, match="'subword' or 'byte'; got 'words'"):
        Wrong().feature_specs("")


class _Stories(text_problem.Text2SelfProblem):
    name = "stories"
    vocab_type = text_problem.VocabType.BYTE

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"targets": "a cat"}
        yield {"targets": "a dog"}


def test_a_language_model_has_targets_only(tmp_path):
    problem = _Stories()
    generation.generate(problem, str(tmp_path), str(tmp_path))

    hparams = hparam.HParams(batch_size=64, max_buckets=1)
    (batch,) = pipeline.eval_dataset(problem, Split.EVAL, str(tmp_path), hparams)

    assert set(batch) == {"targets", "targets_length"}
    filled = batch["targets_length"].numpy() > 0
    texts = [problem.decode_targets(ids, "") for ids in batch["targets"].numpy()]
    assert sorted(np.array(texts)[filled]) == ["a cat", "a dog"]
    assert set(problem.feature_specs("")) == {"targets"}
