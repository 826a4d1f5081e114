import numpy as np
import pytest

import stored_runs
from t2t_mm.training import checkpoint, retention

BYTES = stored_runs.text()
ENDE = {"inputs": BYTES, "targets": BYTES}
LM = {"targets": BYTES}
ANIMALS = {"inputs": BYTES, "targets": stored_runs.classes("animals", 3)}


def make(seed=1, **problems):
    hparams = stored_runs.small_hparams(ema_decay=0.9)
    return stored_runs.make(stored_runs.describe(problems, hparams), seed)


def restore(run, folder):
    state = checkpoint.RunState(run.description.problems)
    checkpoint.Checkpoints(
        run.model,
        run.optimizer,
        state,
        folder,
        keep=retention.Retention(newest=1),
        average=run.average,
    ).restore_latest()
    return state


def numbers(run, name):
    """Returns the value, the average and the slots of a variable."""
    average = run.average.averages[f"transformer.{name.replace('/', '.')}"]
    return [run.values()[name], average.numpy()] + [
        slot.numpy() for _, slot in sorted(run.slots(name).items())
    ]


def test_all_but_the_nets_of_a_new_problem_is_as_it_was(tmp_path):
    old = stored_runs.perturb(make(lm=LM))
    folder = stored_runs.write(old, tmp_path / "run", step=40)
    new = make(lm=LM, ende=ENDE, animals=ANIMALS)
    initial = new.values()

    state = restore(new, folder)

    assert state.step == 40
    assert set(state.counts) == {"lm", "ende", "animals"}
    assert state.counts["animals"] == checkpoint.Counts()
    for name in old.values():
        for value, before in zip(numbers(new, name), numbers(old, name), strict=True):
            np.testing.assert_array_equal(value, before, err_msg=name)
    added = new.values().keys() - old.values().keys()
    assert "symbol_bytes_258/input" in added
    assert "class_label_animals_3/classes/kernel" in added
    for name in added:
        value, average, *slots = numbers(new, name)
        np.testing.assert_array_equal(value, initial[name])
        np.testing.assert_array_equal(average, initial[name])
        assert not any(np.any(slot) for slot in slots)


def test_a_missing_part_of_the_body_is_named(tmp_path):
    folder = stored_runs.write(make(lm=LM), tmp_path / "run")
    hparams = stored_runs.small_hparams(ema_decay=0.9, num_hidden_layers=2)
    problems = {"lm": LM, "ende": ENDE}
    deeper = stored_runs.make(stored_runs.describe(problems, hparams))

    with pytest.raises(ValueError, match="does not hold the variables") as raised:
        restore(deeper, folder)

    assert "average/averages/transformer..decoder_1.." in str(raised.value)
    assert "symbol" not in str(raised.value)


def test_variables_of_another_model_are_named(tmp_path):
    folder = stored_runs.write(make(lm=LM, animals=ANIMALS), tmp_path / "run")

    with pytest.raises(ValueError, match="  counts/animals/batches "):
        restore(make(lm=LM, ende=ENDE), folder)
