import json
import pathlib

import numpy as np
import pytest

import stored_runs
from t2t_mm.training import scope_pairs, warm_start, warm_start_report
from t2t_mm.training.warm_start_config import WarmStartConfig

BYTES = stored_runs.text()
ENDE = {"ende": {"inputs": BYTES, "targets": BYTES}}
SCOPE = "symbol_bytes_258"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A run on bytes, and its folder."""
    description = stored_runs.describe(ENDE, stored_runs.small_hparams())
    run = stored_runs.perturb(stored_runs.make(description))
    return run, stored_runs.write(run, tmp_path_factory.mktemp("old"))


def begin(old_dir, new, new_dir="nowhere", **settings):
    """Begins a run with the weights of another; returns what was done."""
    start = warm_start.WarmStart(WarmStartConfig(path=old_dir, **settings))
    start.plan(new.model, scope_pairs.Run(new.description, str(new_dir)))
    start.check_optimizer(new.optimizer)
    start.apply(new.optimizer, new.average)
    return start.report()


def actions(report):
    return {row.name: row.action for row in report.rows}


def fresh(problems=ENDE, seed=1, **changes):
    hparams = stored_runs.small_hparams(**changes)
    return stored_runs.make(stored_runs.describe(problems, hparams), seed)


def test_a_run_of_the_same_kind_takes_over_all_weights_and_no_state(old):
    run, folder = old
    new = fresh()

    report = begin(folder, new)

    assert set(actions(report).values()) == {"loaded"}
    assert (report.stored_step, report.first_step) == (40, 0)
    for name, value in new.values().items():
        np.testing.assert_array_equal(value, run.values()[name], err_msg=name)
        for slot in new.slots(name).values():
            assert not np.any(slot.numpy())


def test_state_and_step_come_along_if_wanted(old):
    run, folder = old
    new = fresh()

    report = begin(folder, new, optimizer=True, step=True)

    assert report.first_step == 40
    for name in new.values():
        for slot, value in new.slots(name).items():
            np.testing.assert_array_equal(value, run.slots(name)[slot], err_msg=slot)


def test_a_checkpoint_may_be_named_itself(old):
    report = begin(f"{old[1]}/ckpt-40", fresh())

    assert report.path.endswith("ckpt-40")


def test_a_best_checkpoint_may_be_named_by_its_folder(old, tmp_path):
    best = tmp_path / "best" / "ende.loss"
    best.mkdir(parents=True)
    for path in pathlib.Path(old[1]).iterdir():
        folder = tmp_path if path.name == "config.json" else best
        (folder / path.name).hardlink_to(path)

    for path in (best, best / "ckpt-40"):
        report = begin(str(path), fresh())

        assert report.path == str(best / "ckpt-40")
        assert set(actions(report).values()) == {"loaded"}


def test_other_layers_and_problems_are_skipped_with_a_reason(old):
    label = {"inputs": BYTES, "targets": stored_runs.classes("animals", 3)}
    new = fresh({**ENDE, "animals": label}, num_hidden_layers=2)
    before = new.values()

    report = begin(folder := old[1], new)

    skipped = {r.name.partition("/")[0] for r in report.rows if r.action == "skipped"}
    assert skipped == {"class_label_animals_3", "decoder_1", "encoder_1"}
    kept = [name for name in before if name.startswith("encoder_1/")]
    for name in kept:
        np.testing.assert_array_equal(new.values()[name], before[name])
    table = "\n".join(report.lines())
    assert f"weights of step 40 from {folder}/ckpt-40" in table
    (line,) = [line for line in table.split("\n") if line.startswith("encoder_1/*")]
    assert line.split()[1:3] == ["skipped", str(len(kept))]
    assert line.endswith("not in the checkpoint")


def test_variables_of_the_other_run_that_nothing_needs_are_listed(old):
    new = fresh({"lm": {"targets": BYTES}})

    report = begin(old[1], new)

    left = [row.name for row in report.rows if row.action == "left behind"]
    assert left == [f"{SCOPE}/input"]


def test_another_hidden_size_is_refused_with_a_table_and_changes_nothing(old):
    new = fresh(hidden_size=18)
    before = new.values()

    with pytest.raises(ValueError) as raised:
        begin(old[1], new)

    message = str(raised.value)
    assert "shape [12, 12] there, [18, 18] here" in message
    assert "The hparams differ in hidden_size: 12 -> 18. Choose" in message
    assert "--warm_start_mismatch=skip or =resize" in message
    for name, value in new.values().items():
        np.testing.assert_array_equal(value, before[name])


def test_another_hidden_size_may_be_skipped_or_cut_to_size(old):
    run, folder = old
    table = f"{SCOPE}/softmax"
    skipping, resizing = fresh(hidden_size=18), fresh(hidden_size=18)
    before = skipping.values()[table]

    skips = begin(folder, skipping, mismatch="skip")
    resizes = begin(folder, resizing, mismatch="resize", optimizer=True)

    assert actions(skips)[table] == "skipped"
    np.testing.assert_array_equal(skipping.values()[table], before)
    assert actions(resizes)[table] == "resized"
    resized = resizing.values()[table]
    np.testing.assert_array_equal(resized[:, :12], run.values()[table])
    np.testing.assert_array_equal(resized[:, 12:], before[:, 12:])
    assert not np.any(resizing.slots(table)["second_moments"].numpy())


def test_patterns_say_what_is_taken_over(old):
    new = fresh()

    done = actions(
        begin(old[1], new, include=["encoder*", "symbol*"], exclude=["*/softmax"])
    )

    assert done["commands"] == "skipped"
    assert done[f"{SCOPE}/softmax"] == "skipped"
    assert done[f"{SCOPE}/input"] == "loaded"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(include=["encodr*"]), "'encodr\\*' matches none. Their names begin with"),
        (dict(renamed={"symbol_byte": "x"}), "there is no 'symbol_byte'"),
    ],
)
def test_a_name_that_does_not_exist_is_refused(old, settings, message):
    with pytest.raises(ValueError, match=message):
        begin(old[1], fresh(), **settings)


def test_a_table_may_be_taken_from_one_of_another_name(old):
    run, folder = old
    new = fresh(shared_embedding_and_softmax_weights=True)

    report = begin(folder, new, renamed={f"{SCOPE}/shared": f"{SCOPE}/target"})

    np.testing.assert_array_equal(
        new.values()[f"{SCOPE}/shared"], run.values()[f"{SCOPE}/target"]
    )
    assert f"{SCOPE}/target" in "\n".join(report.lines())


def test_weights_are_averages_unless_the_optimizer_goes_on(tmp_path):
    description = stored_runs.describe(ENDE, stored_runs.small_hparams(ema_decay=0.9))
    run = stored_runs.perturb(stored_runs.make(description))
    folder = stored_runs.write(run, tmp_path / "old")
    name = "commands"
    plain, averaged, going_on = fresh(), fresh(ema_decay=0.9), fresh(ema_decay=0.9)

    begin(folder, plain)
    begin(folder, averaged)
    begin(folder, going_on, optimizer=True)

    weights, average = run.values()[name], run.values()[name] + 100.0
    np.testing.assert_array_equal(plain.values()[name], average)
    np.testing.assert_array_equal(averaged.values()[name], average)
    key = f"transformer.{name}"
    np.testing.assert_array_equal(averaged.average.averages[key], average)
    np.testing.assert_array_equal(going_on.values()[name], weights)
    np.testing.assert_array_equal(going_on.average.averages[key], average)


def test_the_state_of_another_optimizer_is_refused(old):
    with pytest.raises(ValueError, match="trained with `optimizer=adam`, has no mom"):
        begin(old[1], fresh(optimizer="adafactor"), optimizer=True)


def test_nothing_in_common_is_refused(old):
    new = fresh()

    with pytest.raises(ValueError, match="must have a variable of the run"):
        begin(old[1], new, renamed={"commands": "orders"}, include=["commands"])


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no '.*config.json'"):
        warm_start.WarmStart(WarmStartConfig(path=str(tmp_path)))
    with pytest.raises(FileNotFoundError, match="must be the folder of a run, or a ch"):
        warm_start.WarmStart(WarmStartConfig(path=str(tmp_path / "ckpt-3")))


def test_every_variable_is_in_the_file(old, tmp_path):
    report = begin(old[1], fresh())

    report.write(str(tmp_path))

    stored = json.loads((tmp_path / warm_start_report.REPORT_FILE).read_text())
    assert stored["stored_step"] == 40
    assert {row["name"] for row in stored["rows"]} == set(fresh().values())


def test_a_grown_vocabulary_is_remapped_by_text(tmp_path):
    small, of_small = stored_runs.subwords(
        tmp_path / "a", "v", stored_runs.LONG_AGO, 275
    )
    large, of_large = stored_runs.subwords(
        tmp_path / "b", "v", stored_runs.FAR_AWAY, 290
    )
    hparams = stored_runs.small_hparams()
    run = stored_runs.perturb(
        stored_runs.make(
            stored_runs.describe({"ende": {"inputs": small, "targets": small}}, hparams)
        )
    )
    stored_runs.write(run, tmp_path / "a")
    new = fresh({"ende": {"inputs": large, "targets": large}})
    (old_scope,) = {n.partition("/")[0] for n in run.values() if n.startswith("symbol")}
    (scope,) = {n.partition("/")[0] for n in new.values() if n.startswith("symbol")}

    report = begin(str(tmp_path / "a"), new, tmp_path / "b", optimizer=True)

    assert old_scope != scope
    old_texts, new_texts = of_small.texts, of_large.texts
    shared = [text for text in new_texts if text in old_texts]
    added = [text for text in new_texts if text not in old_texts]
    assert len(shared) > 259 and len(added) > 5
    for use in ("input", "target", "softmax"):
        before, after = (
            run.values()[f"{old_scope}/{use}"],
            new.values()[f"{scope}/{use}"],
        )
        for text in shared:
            np.testing.assert_array_equal(
                after[new_texts.index(text)], before[old_texts.index(text)]
            )
        for text in added:
            pieces = before[of_small.encode(text)]
            np.testing.assert_allclose(
                after[new_texts.index(text)], pieces.mean(0), rtol=1e-5, atol=1e-6
            )
        slots, old_slots = new.slots(f"{scope}/{use}"), run.slots(f"{old_scope}/{use}")
        assert slots["updates"].numpy() == 7
        for name in ("first_moments", "second_moments"):
            for text in shared:
                np.testing.assert_array_equal(
                    slots[name].numpy()[new_texts.index(text)],
                    old_slots[name].numpy()[old_texts.index(text)],
                )
        several = [text for text in added if len(of_small.encode(text)) > 1]
        rows = [new_texts.index(text) for text in several]
        assert not np.any(slots["first_moments"].numpy()[rows])
        assert np.all(slots["second_moments"].numpy()[rows] > 1.0)
    remapped = [row for row in report.rows if row.action == "remapped"]
    assert len(remapped) == 3
    copied = len(new_texts) - len(several)
    assert remapped[0].note.startswith(f"{copied} of {len(new_texts)} rows copied, ")


def test_a_vocabulary_of_the_same_name_and_size_and_other_words_is_remapped(tmp_path):
    one, of_one = stored_runs.subwords(tmp_path / "a", "v", stored_runs.LONG_AGO)
    other, of_other = stored_runs.subwords(tmp_path / "b", "v", stored_runs.FAR_AWAY)
    assert one == other
    problems = {"lm": {"targets": one}}
    run = stored_runs.perturb(
        stored_runs.make(stored_runs.describe(problems, stored_runs.small_hparams()))
    )
    stored_runs.write(run, tmp_path / "a")
    new = fresh(problems)

    report = begin(str(tmp_path / "a"), new, tmp_path / "b")

    (name,) = [n for n in new.values() if n.endswith("/softmax")]
    assert actions(report)[name] == "remapped"
    for i, text in enumerate(of_other.texts):
        if text in of_one.texts:
            before = run.values()[name][of_one.texts.index(text)]
            np.testing.assert_array_equal(new.values()[name][i], before)


def test_classes_are_remapped_by_name(tmp_path):
    def animals(names):
        spec = stored_runs.classes("animals", len(names))
        return stored_runs.describe(
            {"animals": {"inputs": BYTES, "targets": spec}},
            stored_runs.small_hparams(optimizer="adafactor"),
            classes={"animals": names},
        )

    run = stored_runs.perturb(stored_runs.make(animals(["cat", "dog", "emu"])))
    folder = stored_runs.write(run, tmp_path / "old")
    new = stored_runs.make(animals(["ant", "emu", "cat", "bee"]), seed=1)
    before = new.values()

    report = begin(folder, new, optimizer=True)

    kernel, bias = (f"class_label_animals_4/classes/{n}" for n in ("kernel", "bias"))
    old_kernel = run.values()["class_label_animals_3/classes/kernel"]
    after = new.values()[kernel]
    np.testing.assert_array_equal(after[:, [1, 2]], old_kernel[:, [2, 0]])
    np.testing.assert_array_equal(after[:, [0, 3]], before[kernel][:, [0, 3]])
    np.testing.assert_array_equal(
        new.values()[bias][1], run.values()["class_label_animals_3/classes/bias"][2]
    )
    slots, old_slots = (
        new.slots(kernel),
        run.slots("class_label_animals_3/classes/kernel"),
    )
    np.testing.assert_array_equal(slots["moments/rows"], old_slots["moments/rows"])
    columns, old_columns = (s["moments/columns"].numpy() for s in (slots, old_slots))
    np.testing.assert_array_equal(columns[[1, 2]], old_columns[[2, 0]])
    np.testing.assert_allclose(columns[[0, 3]], old_columns[[2, 0]].mean(), rtol=1e-6)
    done = {row.name: row for row in report.rows}
    assert done[kernel].note == "2 of 4 rows copied, 2 initial, 1 old ones left behind"
    rest = [row.action for name, row in done.items() if "/classes/" not in name]
    assert len(rest) > 10 and set(rest) == {"loaded"}
