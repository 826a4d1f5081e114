import dataclasses
import hashlib
import json

import pytest

from t2t_mm import hparam, registry
from t2t_mm.features import FeatureSpec, SpaceId
from t2t_mm.runs import run_folder

SPECS = {
    "inputs": FeatureSpec(modality="image", shape=(4, 5, 3), dtype="uint8"),
    "targets": FeatureSpec(
        modality="symbol", vocab_size=9, vocabulary="v", space_id=SpaceId.DE_TOK
    ),
}


@pytest.fixture
def description(registrations):
    return run_folder.RunDescription(
        model="multimodel",
        hparams_set="multimodel_tiny",
        hparams=hparam.resolve("multimodel_tiny", overrides="kernel_sizes=(3,3,5,5)"),
        problems={"some_problem": SPECS},
        vocabularies={"vocab.some.9.subwords": "0" * 64},
    )


@pytest.fixture
def data_dir(tmp_path, description):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "vocab.some.9.subwords").write_bytes(b"some words")
    return str(folder)


def test_what_was_written_is_read_back(description, data_dir, tmp_path):
    run_folder.write(description, str(tmp_path / "run"), data_dir)

    assert run_folder.read(str(tmp_path / "run")) == description
    assert (tmp_path / "run/vocab.some.9.subwords").read_bytes() == b"some words"
    assert not list((tmp_path / "run").glob(".*"))


def test_names_of_classes_go_with_the_model(description, tmp_path):
    problem = registry.problem("image_folder")
    data_dir, run = str(tmp_path), str(tmp_path / "run")
    problem.write_class_names(["cat", "dog"], data_dir)

    described = run_folder.describe(
        model=description.model,
        hparams_set=description.hparams_set,
        hparams=description.hparams,
        problems={"image_folder": problem},
        data_dir=data_dir,
    )
    run_folder.write(described, run, data_dir)

    assert described.classes == {"image_folder": ["cat", "dog"]}
    assert problem.decode_targets([1], run) == "dog"
    assert run_folder.read(run).problems["image_folder"]["targets"].vocab_size == 2
    problem.write_class_names(["dog", "cat"], data_dir)
    with pytest.raises(ValueError, match="image_folder.classes.txt"):
        run_folder.check_vocabularies(described, data_dir)


def test_a_vocabulary_of_other_contents_is_refused(description, data_dir):
    with pytest.raises(ValueError, match="its ids mean other words"):
        run_folder.check_vocabularies(description, data_dir)


def test_a_damaged_config_is_named(description, data_dir, tmp_path):
    run_folder.write(description, str(tmp_path / "run"), data_dir)
    path = tmp_path / "run" / run_folder.CONFIG_FILE
    path.write_text(path.read_text()[:-40])

    with pytest.raises(ValueError, match="config.json' cannot be read"):
        run_folder.read(str(tmp_path / "run"))


def test_a_config_of_another_version_is_refused(description, data_dir, tmp_path):
    run_folder.write(description, str(tmp_path / "run"), data_dir)
    path = tmp_path / "run" / run_folder.CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))

    with pytest.raises(
        ValueError, match="must have format 2 or 3 .* it has 99, of t2t"
    ):
        run_folder.read(str(tmp_path / "run"))


def test_a_config_with_hparams_of_another_version_names_them(
    description, data_dir, tmp_path
):
    run_folder.write(description, str(tmp_path / "run"), data_dir)
    path = tmp_path / "run" / run_folder.CONFIG_FILE
    values = json.loads(path.read_text())
    values["hparams"]["warp_factor"] = 9
    path.write_text(json.dumps(values))

    with pytest.raises(ValueError, match="has no warp_factor; use the version that"):
        run_folder.read(str(tmp_path / "run"))


def test_a_config_of_the_format_before_is_read(description, data_dir, tmp_path):
    run_folder.write(description, str(tmp_path / "run"), data_dir)
    path = tmp_path / "run" / run_folder.CONFIG_FILE
    values = json.loads(path.read_text())
    for field in ("version", "classes", "retired", "history", "weights_only"):
        del values[field]
    path.write_text(json.dumps(values | {"format": 2}))

    assert run_folder.read(str(tmp_path / "run")) == description


def test_what_a_run_has_been_through_is_read_back(description, data_dir, tmp_path):
    changed = dataclasses.replace(
        description,
        problems={"some_problem": SPECS, "another": SPECS},
        classes={"animals": ["cat", "dog"]},
        retired=("another",),
        history=({"step": 3, "removed": ["another"]},),
    )

    run_folder.write(changed, str(tmp_path / "run"), data_dir)

    assert run_folder.read(str(tmp_path / "run")) == changed
    assert changed.trained == ["some_problem"]


def test_vocabularies_that_only_the_run_has_are_kept(description, data_dir, tmp_path):
    run = tmp_path / "run"
    name = "vocab.some.9.subwords"
    sha256 = hashlib.sha256(b"some words").hexdigest()
    known = dataclasses.replace(description, vocabularies={name: sha256})
    run_folder.write(known, str(run), data_dir)

    run_folder.write(known, str(run), str(tmp_path / "a folder without it"))

    assert (run / name).read_bytes() == b"some words"


def test_a_run_of_an_unregistered_set_names_the_closest(registrations):
    with pytest.raises(LookupError, match="Did you mean 'multimodel_tiny'"):
        registry.HPARAMS.get("multimodel_tinny")


def test_runs_with_other_vocabularies_are_told_apart(description, data_dir, tmp_path):
    other, nothing = str(tmp_path / "other"), str(tmp_path / "nothing")
    run_folder.write(description, other, data_dir)
    changed = dataclasses.replace(
        description, vocabularies={"vocab.some.9.subwords": "1" * 64}
    )

    run_folder.check_same_vocabularies(description, other)
    run_folder.check_same_vocabularies(changed, nothing)
    with pytest.raises(ValueError, match="'vocab.some.9.subwords' of the run in .*oth"):
        run_folder.check_same_vocabularies(changed, other)
