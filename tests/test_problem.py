import pytest

from t2t_mm import problem
from t2t_mm.data import corpus as corpora
from t2t_mm.features import FeatureSpec, Split


class _Counting(problem.Problem):
    """A language model: no inputs."""

    name = "counting"

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"targets": [2, 3]}

    def encode(self, sample, data_dir):
        return {"targets": self.encode_targets(sample["targets"], data_dir)}

    def encode_inputs(self, value, data_dir):
        raise NotImplementedError

    def encode_targets(self, value, data_dir):
        return value

    def inputs_spec(self, data_dir):
        return None

    def targets_spec(self, data_dir):
        return FeatureSpec(modality="symbol", vocab_size=9)

    def decode_targets(self, ids, data_dir):
        return " ".join(map(str, ids))


class _Licensed(_Counting):
    name = "licensed"
    corpus = corpora.Corpus(
        name="wsj",
        title="the Treebank",
        obtain="ask its makers.",
        layout="the .mrg files.",
    )


def test_a_language_model_has_no_inputs():
    assert set(_Counting().feature_specs("")) == {"targets"}
    assert _Counting().record_lengths({"targets": [2, 3, 4]}) == (0, 3)


def test_splits_have_tensor2tensors_form():
    splits = _Counting().dataset_splits

    assert splits[0] == {"split": problem.DatasetSplit.TRAIN, "shards": 10}
    assert problem.DatasetSplit.EVAL is Split.EVAL


def test_a_corpus_path_is_returned_if_it_exists(tmp_path):
    licensed = _Licensed()
    licensed.corpus_path = str(tmp_path)

    assert licensed.require_corpus_path() == str(tmp_path)


@pytest.mark.parametrize(
    ("path", "found"), [(None, "none given"), ("/nowhere", "no '/nowhere'")]
)
def test_a_missing_corpus_says_how_to_name_it_and_what_it_holds(path, found):
    licensed = _Licensed()
    licensed.corpus_path = path

    with pytest.raises(FileNotFoundError) as caught:
        licensed.require_corpus_path()

    assert found in str(caught.value)
    assert "licensed is made from the Treebank" in str(caught.value)
    assert "--corpus_path=wsj=PATH." in str(caught.value)
    assert "How to obtain it: ask its makers." in str(caught.value)
    assert "What PATH must hold: the .mrg files." in str(caught.value)


def test_an_input_line_is_the_input_itself():
    assert _Counting().read_input("a line") == "a line"
