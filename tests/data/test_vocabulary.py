import pytest

from t2t_mm import registry
from t2t_mm.data import generation, manifest, options, text_problem, vocabulary

SHARED = registry.VocabularySpec(
    name="shared_test",
    approx_vocab_size=400,
    problems=("first_member", "second_member"),
    bytes_per_problem=100,
)


class _Member(text_problem.Text2TextProblem):
    vocabulary = "shared_test"
    word = ""

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(1000):
            read.append(self.name)
            yield {"inputs": f"{self.word} {number}", "targets": self.word}


class _First(_Member):
    name = "first_member"
    word = "anemone"


class _Second(_Member):
    name = "second_member"
    word = "begonia"


read: list[str] = []


@pytest.fixture(autouse=True)
def members(monkeypatch):
    read.clear()
    entries = {"first_member": _First, "second_member": _Second}
    monkeypatch.setattr(registry.PROBLEMS, "_entries", entries)
    monkeypatch.setattr(registry.VOCABULARIES, "_entries", {"shared_test": SHARED})


def _ensure(problem, folder, **settings):
    folder.mkdir(exist_ok=True)
    return vocabulary.ensure(
        problem, str(folder), str(folder), options.GenerationOptions(**settings)
    )


def test_members_share_one_file_whoever_comes_first(tmp_path):
    _ensure(_First(), tmp_path / "a")
    _ensure(_Second(), tmp_path / "b")

    name = "vocab.shared_test.400.subwords"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_words_of_all_members_are_in_it(tmp_path):
    _ensure(_First(), tmp_path)
    encoder = _Second().text_encoder(str(tmp_path))

    assert len(encoder.encode("anemone")) == 1
    assert len(encoder.encode("begonia")) == 1


def test_the_sample_of_each_member_is_bounded(tmp_path):
    _ensure(_First(), tmp_path)

    # A sample has about 16 bytes and 100 are wanted of each problem.
    assert 5 <= read.count("first_member") <= 8
    assert 5 <= read.count("second_member") <= 8


def test_an_existing_vocabulary_is_kept(tmp_path):
    first = _ensure(_First(), tmp_path)
    read.clear()

    assert _ensure(_Second(), tmp_path) == first
    assert not read


def test_one_from_few_cases_gives_way_to_one_from_more_but_not_back(tmp_path):
    small = _ensure(_First(), tmp_path, max_cases=1)
    large = _ensure(_First(), tmp_path)

    assert large.sha256 != small.sha256
    assert _ensure(_First(), tmp_path, max_cases=1) == large


def test_a_file_of_the_users_own_is_kept(tmp_path):
    model = text_problem.text_encoder.build_subwords(["my own words"], 280)
    (tmp_path / SHARED.filename).write_bytes(model)

    _ensure(_First(), tmp_path)

    assert (tmp_path / SHARED.filename).read_bytes() == model
    assert not read


def test_features_of_both_problems_name_the_same_vocabulary(tmp_path):
    _ensure(_First(), tmp_path)

    first = _First().feature_specs(str(tmp_path))
    second = _Second().feature_specs(str(tmp_path))

    assert first["inputs"].vocabulary == SHARED.filename
    assert first["targets"] == second["targets"]


def test_a_new_vocabulary_remakes_the_records_of_a_member(tmp_path):
    folder = str(tmp_path)
    few = options.GenerationOptions(max_cases=2)
    before = generation.generate(_First(), folder, folder, few)
    _ensure(_Second(), tmp_path)

    after = generation.generate(_First(), folder, folder, few)

    assert before.vocabulary != after.vocabulary
    assert manifest.vocabulary_complaint(after, folder) is None


def test_bytes_need_no_vocabulary(tmp_path):
    class Bytes(_First):
        vocab_type = text_problem.VocabType.BYTE

    assert _ensure(Bytes(), tmp_path) is None
    assert Bytes().feature_specs("")["inputs"].vocab_size == 258


def test_a_vocabulary_that_was_not_built_says_how(tmp_path):
    with pytest.raises(FileNotFoundError, match="t2t-datagen --problem=first_member"):
        _First().feature_specs(str(tmp_path))
