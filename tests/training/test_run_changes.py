import dataclasses

import pytest

import stored_runs
from t2t_mm.training import run_changes

BYTES = stored_runs.text()
TEXTS = {"inputs": BYTES, "targets": BYTES}
LABEL = {"inputs": BYTES, "targets": stored_runs.classes("animals", 2)}


def describe(*names, **fields):
    hparams = stored_runs.small_hparams(**fields.pop("hparams", {}))
    return stored_runs.describe(dict.fromkeys(names, TEXTS), hparams, **fields)


def go_on(old, new, **settings):
    return run_changes.go_on(old, new, "run", step=30, **settings)


def test_the_same_command_changes_nothing():
    old = describe("ende", "enfr")

    assert go_on(old, describe("ende", "enfr")) == old
    assert go_on(old, describe("enfr", "ende")) == old


def test_problems_come_and_go_and_come_back():
    first = describe("ende", "enfr")

    added = go_on(first, describe("ende", "enfr", "deen"))
    removed = go_on(added, describe("ende", "deen"))
    returned = go_on(removed, describe("ende", "deen", "enfr"))

    assert added.history == ({"step": 30, "added": ["deen"]},)
    assert list(added.problems) == ["ende", "enfr", "deen"]
    assert removed.history[1:] == ({"step": 30, "removed": ["enfr"]},)
    assert removed.problems == added.problems
    assert removed.retired == ("enfr",)
    assert removed.trained == ["ende", "deen"]
    assert returned.history[2:] == ({"step": 30, "returned": ["enfr"]},)
    assert returned.retired == ()


def test_what_names_problems_may_change_with_them_only():
    old = describe("ende", "enfr", hparams={"mixing": "ende:1,enfr:1"})
    new = {"mixing": "ende:1,deen:2"}

    changed = go_on(old, describe("ende", "deen", hparams=new))

    assert changed.hparams.mixing == "ende:1,deen:2"
    assert changed.history[0]["hparams"] == {
        "mixing": ("ende:1,enfr:1", "ende:1,deen:2")
    }
    with pytest.raises(ValueError, match="--change_hparams=mixing"):
        go_on(old, describe("ende", "enfr", hparams={"mixing": "equal"}))


def test_hparams_change_if_the_user_says_so():
    old = describe("ende")
    new = describe("ende", hparams={"dropout": 0.3, "batch_size": 99})

    changed = go_on(old, new, may_change=["dropout", "batch_size"])

    assert changed.hparams == new.hparams
    assert go_on(changed, new, may_change=["dropout", "batch_size"]) == changed
    with pytest.raises(ValueError, match="batch_size: ") as raised:
        go_on(old, new, may_change=["dropout"])
    assert "dropout" not in str(raised.value)
    assert "batch_size may change with --change_hparams=batch_size" in str(raised.value)


@pytest.mark.parametrize("field", ["hidden_size", "optimizer", "dropoot"])
def test_hparams_that_variables_depend_on_may_not_change(field):
    old = describe("ende")

    with pytest.raises(ValueError, match=f"no variable depends on; got {field}"):
        go_on(old, old, may_change=[field])


def test_every_changeable_hparam_exists():
    fields = {field.name for field in dataclasses.fields(stored_runs.small_hparams())}

    assert fields >= run_changes.CHANGEABLE


def test_all_other_differences_are_listed():
    old = stored_runs.describe(
        {"animals": LABEL, "ende": TEXTS},
        stored_runs.small_hparams(),
        vocabularies={"vocab.some.9.subwords": "0" * 64},
        classes={"animals": ["cat", "dog"]},
    )
    new = dataclasses.replace(
        old,
        model="multimodel",
        hparams=stored_runs.small_hparams(hidden_size=18),
        problems={"animals": TEXTS},
        vocabularies={"vocab.some.9.subwords": "1" * 64},
        classes={"animals": ["dog", "cat"]},
    )

    with pytest.raises(ValueError) as raised:
        go_on(old, new)

    message = str(raised.value)
    for part in (
        "model: transformer -> multimodel",
        "hidden_size: 12 -> 18",
        "problem animals: ",
        "vocabulary vocab.some.9.subwords: ",
        "classes of animals: ['cat', 'dog'] -> ['dog', 'cat']",
        "choose another --output_dir",
        "--warm_start_from=run",
    ):
        assert part in message
    assert "ende" not in message


def test_weights_alone_cannot_go_on():
    old = dataclasses.replace(describe("ende"), weights_only=True)

    with pytest.raises(ValueError, match="has weights only. Start a new run from it"):
        go_on(old, describe("ende"))
