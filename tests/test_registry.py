import logging
import pathlib
import subprocess
import sys
import uuid

import pytest

from t2t_mm import registry

ROOT = pathlib.Path(__file__).resolve().parents[1]

registry.import_registrations()


@pytest.fixture
def animals():
    made = registry.Registry("animal", "an")
    made.register("black_cat")("cat")
    made.register("brown_dog2")("dog")
    return made


def test_entries_are_found_by_name(animals):
    assert animals.get("black_cat") == "cat"
    assert animals.names() == ["black_cat", "brown_dog2"]


def test_the_decorator_returns_what_it_decorates():
    models = registry.Registry("model")

    @models.register("identity")
    def identity(x):
        return x

    assert models.get("identity") is identity
    assert identity(3) == 3


@pytest.mark.parametrize("spelling", ["black-cat", "Black_Cat", "BLACK-CAT"])
def test_dashes_and_capitals_are_forgiven(animals, spelling):
    assert animals.get(spelling) == "cat"


@pytest.mark.parametrize("name", ["Cat", "black-cat", "_cat", "cat_", "2cats", "a__b"])
def test_names_are_snake_case(animals, name):
    with pytest.raises(ValueError, match=f"snake_case.*got '{name}'"):
        animals.register(name)


def test_an_unknown_name_names_the_closest(animals):
    with pytest.raises(LookupError) as error:
        animals.get("black_bat")

    assert str(error.value) == (
        "No animal is named 'black_bat'. Did you mean 'black_cat'? "
        "Modules of your own load with --t2t_usr_dir."
    )


def test_a_name_like_no_other_lists_them_all(animals):
    with pytest.raises(LookupError, match="There are: black_cat, brown_dog2."):
        animals.get("xyz")


def test_an_alias_answers_and_says_the_name_once(animals, caplog):
    animals.register_alias("old_cat", "black_cat", "It is older.")

    with caplog.at_level(logging.INFO, logger="absl"):
        assert animals.get("Old-Cat") == animals.get("old_cat") == "cat"

    said = [record.getMessage() for record in caplog.records]
    assert said == ["'old_cat' is called 'black_cat' here. It is older."]
    assert "old_cat" not in animals.names()
    assert animals.aliases() == {"old_cat": "black_cat"}


def test_an_alias_may_come_before_what_it_stands_for(animals):
    animals.register_alias("old_hen", "white_hen")

    with pytest.raises(LookupError) as error:
        animals.get("old_hen")
    assert str(error.value) == (
        "'old_hen' is another name of the animal 'white_hen', which is not registered."
    )

    animals.register("white_hen")("hen")
    assert animals.get("old_hen") == "hen"


def test_an_entry_of_the_same_name_comes_before_an_alias(animals):
    animals.register_alias("old_cat", "black_cat")
    animals.register("old_cat")("mine")

    assert animals.get("old_cat") == "mine"


def test_an_alias_stands_for_one_entry(animals):
    animals.register_alias("old_cat", "black_cat")
    animals.register_alias("old_cat", "black_cat")

    with pytest.raises(ValueError, match="'old_cat' is another name of 'black_cat'"):
        animals.register_alias("old_cat", "brown_dog2")


def test_aliases_are_suggested_too(animals):
    animals.register_alias("zebra_crossing", "black_cat")

    with pytest.raises(LookupError, match="Did you mean 'zebra_crossing'"):
        animals.get("zebra_crosing")


def test_an_empty_registry_says_so():
    with pytest.raises(LookupError, match="There are: none."):
        registry.Registry("animal", "an").get("cat")


def test_a_name_taken_twice_names_both_modules():
    models = registry.Registry("model")
    first = type("First", (), {"__module__": "mine.first"})
    second = type("Second", (), {"__module__": "mine.second"})
    models.register("taken")(first)

    with pytest.raises(ValueError) as error:
        models.register("taken")(second)

    assert str(error.value) == (
        "A model named 'taken' is registered by mine.first and again by mine.second. "
        "Rename one, or import the module under one name only."
    )
    assert models.get("taken") is first


def test_a_registered_problem_knows_its_name(monkeypatch):
    monkeypatch.setattr(registry, "PROBLEMS", registry.Registry("problem"))

    @registry.register_problem("my_problem")
    class MyProblem:
        pass

    made = registry.problem("my-problem")
    assert isinstance(made, MyProblem)
    assert made.name == "my_problem"
    assert registry.problem("my_problem") is not made


@pytest.mark.parametrize("brackets", [False, True])
def test_a_problem_without_a_name_has_that_of_its_class(monkeypatch, brackets):
    monkeypatch.setattr(registry, "PROBLEMS", registry.Registry("problem"))

    class TranslateEnde8k:
        pass

    register = registry.register_problem() if brackets else registry.register_problem
    registered = register(TranslateEnde8k)

    assert registered is TranslateEnde8k
    assert registry.problem("translate_ende8k").name == "translate_ende8k"


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("TranslateEndeWmt32k", "translate_ende_wmt32k"),
        ("LSTMSeq2seq", "lstm_seq2seq"),
        ("ImageMsCocoTokens32k", "image_ms_coco_tokens32k"),
    ],
)
def test_names_of_classes_are_those_of_tensor2tensor(class_name, name):
    assert registry.to_snake_case(class_name) == name


def test_a_class_that_is_called_like_a_variant_is_refused():
    with pytest.raises(ValueError, match="must not end in _rev.*'sort_rev'"):

        @registry.register_problem
        class SortRev:
            pass


def test_a_vocabulary_is_filed_under_its_own_name(monkeypatch):
    monkeypatch.setattr(registry, "VOCABULARIES", registry.Registry("vocabulary"))
    spec = registry.VocabularySpec(
        name="pets", approx_vocab_size=512, problems=("cats",)
    )

    assert registry.register_vocabulary(spec) is spec
    assert registry.VOCABULARIES.get("pets") is spec
    assert spec.filename == "vocab.pets.512.subwords"


# Modules of a user's own.


@pytest.fixture
def usr_dir(tmp_path, monkeypatch):
    """A folder whose modules register an hparams set, under a name of its own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    registered = dict(registry.HPARAMS._entries)
    monkeypatch.setattr(registry.HPARAMS, "_entries", registered)
    name = f"usr_{uuid.uuid4().hex}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import mine\n")
    (folder / "mine.py").write_text(
        "from t2t_mm import hparam, registry\n"
        f"@registry.register_hparams('{name}')\n"
        "def mine():\n"
        "    return hparam.HParams(hidden_size=24)\n"
    )
    yield folder
    for module in (name, f"{name}.mine"):
        sys.modules.pop(module, None)


def test_a_users_folder_registers_what_it_imports(usr_dir):
    registry.import_registrations(str(usr_dir))

    assert registry.HPARAMS.get(usr_dir.name)().hidden_size == 24


def test_a_users_folder_may_be_loaded_again(usr_dir):
    registry.import_registrations(str(usr_dir))
    registry.import_registrations(str(usr_dir) + "/")


def test_another_folder_of_the_same_name_is_refused(usr_dir, tmp_path):
    registry.import_registrations(str(usr_dir))
    other = tmp_path / "elsewhere" / usr_dir.name
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")

    with pytest.raises(ValueError, match=f"is loaded from '{usr_dir}'. Rename your"):
        registry.import_registrations(str(other))


def test_a_users_folder_needs_an_init_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="--t2t_usr_dir must be a folder with"):
        registry.import_registrations(str(tmp_path))


def test_a_users_folder_needs_the_name_of_a_package(tmp_path):
    folder = tmp_path / "my-problems"
    folder.mkdir()
    (folder / "__init__.py").write_text("")

    with pytest.raises(ValueError, match="Python identifier; got 'my-problems'"):
        registry.import_registrations(str(folder))


def test_everything_that_ships_is_registered():
    registry.import_registrations()
    registry.import_models()

    assert "copy_digits" in registry.PROBLEMS.names()
    assert "multimodel" in registry.MODELS.names()
    assert "multimodel_tiny" in registry.HPARAMS.names()
    assert registry.MODALITIES.names() == [
        "audio",
        "audio_spectral",
        "class_label",
        "image",
        "symbol",
    ]


def test_problems_and_hparams_are_found_without_tensorflow():
    program = (
        "import sys; from t2t_mm import registry; registry.import_registrations(); "
        "registry.HPARAMS.get('multimodel_tiny')(); registry.problem('copy_digits'); "
        "assert 'tensorflow' not in sys.modules"
    )

    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
