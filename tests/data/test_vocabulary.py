import pytest

from t2t_mm import registry
from t2t_mm.data import (
    generation,
    manifest,
    options,
    text_encoder,
    text_problem,
    vocabulary,
)

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


def test_the_sample_of_a_member_is_bounded_and_from_all_of_its_text(tmp_path):
    sample = vocabulary.sample_texts(
        _First(),
        num_bytes=1000,
        data_dir=str(tmp_path),
        tmp_dir=str(tmp_path),
        options=options.GenerationOptions(),
    )

    size = sum(map(len, sample))
    assert 1000 <= size < 1000 + len("anemone 999")
    numbers = [int(text.split()[1]) for text in sample if " " in text]
    # Of 1000 numbered texts in order; the chance of no late ones is below 1e-9.
    assert min(numbers) < 300
    assert max(numbers) > 700
    assert numbers == sorted(numbers)


def test_a_vocabulary_of_the_users_is_declared_once(tmp_path):
    members = [_First(), _Second()]
    spec = vocabulary.declare("joint", 350, members, str(tmp_path))
    _ensure(_First(), tmp_path, vocabulary=spec)

    again = vocabulary.declare("joint", 350, [_Second()], str(tmp_path))

    assert spec.problems == ("first_member", "second_member")
    assert again == spec
    assert (tmp_path / "vocab.joint.350.subwords").exists()


def test_a_vocabulary_of_the_users_has_the_reserved_tokens_of_all_members(tmp_path):
    class First(_First):
        vocabulary = None
        additional_reserved_tokens = (" /NP", " /VP")

    class Second(_Second):
        vocabulary = None
        additional_reserved_tokens = (" /VP", " /S")

    spec = vocabulary.declare("joint", 350, [First(), Second()], str(tmp_path))
    _ensure(First(), tmp_path, vocabulary=spec)

    assert spec.reserved_tokens == (" /NP", " /VP", " /S")
    assert vocabulary.declared(spec.filename, str(tmp_path)) == spec
    encoder = text_encoder.load_subword_encoder(str(tmp_path / spec.filename))
    assert len(encoder.encode(" /NP /S")) == 2


def test_a_vocabulary_without_text_is_refused(tmp_path):
    class Bytes(_First):
        vocab_type = "byte"

    with pytest.raises(ValueError, match="must be built from problems with text"):
        vocabulary.declare("joint", 350, [Bytes()], str(tmp_path))


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
