"""What may differ between a run and the command that goes on with it.

Problems may come and go. A problem that goes is retired: the model keeps its nets and
the checkpoint its counters, so it can be decoded, and can come back where it was.
Everything else must be the same, except hparams that the user says may change.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm import hparam
from t2t_mm.runs import run_folder

# These name problems, so they may change when the problems do.
_OF_PROBLEMS = (
    "mixing",
    "problem_batch_sizes",
    "problem_learning_rates",
    "problem_loss_weights",
)
# No variable depends on these.
CHANGEABLE = frozenset(
    {
        *_OF_PROBLEMS,
        "batch_examples",
        "batch_size",
        "batches_per_update",
        "clip_grad_norm",
        "dropout",
        "label_smoothing",
        "learning_rate",
        "learning_rate_boundaries",
        "learning_rate_constant",
        "learning_rate_cosine_cycle_steps",
        "learning_rate_decay_rate",
        "learning_rate_decay_scheme",
        "learning_rate_decay_staircase",
        "learning_rate_decay_steps",
        "learning_rate_multiples",
        "learning_rate_schedule",
        "learning_rate_warmup_steps",
        "max_buckets",
        "max_input_length",
        "max_target_length",
        "optimizer_adafactor_beta2",
        "optimizer_adafactor_clipping_threshold",
        "optimizer_adafactor_decay_type",
        "optimizer_adafactor_memory_exponent",
        "optimizer_adafactor_multiply_by_parameter_scale",
        "optimizer_adam_beta1",
        "optimizer_adam_beta2",
        "optimizer_adam_epsilon",
        "optimizer_momentum_momentum",
        "optimizer_momentum_nesterov",
        "problems_per_update",
        "weight_decay",
        "weight_decay_type",
    }
)

Description = run_folder.RunDescription


def check_changeable(fields: Collection[str]) -> None:
    """Checks that hparams may change in a run.

    Raises:
      ValueError: naming those that may not.
    """
    if wrong := sorted(set(fields) - CHANGEABLE):
        raise ValueError(
            f"--change_hparams must name hparams that no variable depends on; got "
            f"{', '.join(wrong)}. These may change: {', '.join(sorted(CHANGEABLE))}. "
            "For others start a new run with --warm_start_from."
        )


def go_on(
    old: Description,
    new: Description,
    output_dir: str,
    *,
    step: int,
    may_change: Collection[str] = (),
) -> Description:
    """Returns the description of a run that goes on as another command says.

    Args:
      old: the run's.
      new: that of the command; its problems are all trained.
      output_dir: folder of the run, for messages.
      step: of the run's newest checkpoint.
      may_change: hparams that may change.

    Returns:
      `old` if nothing changes. Else it has the problems of both, and in `retired` those
      that the command leaves out.

    Raises:
      ValueError: listing every difference that is not allowed.
    """
    check_changeable(may_change)
    problems = _problem_changes(old, new)
    allowed = {*may_change, *(_OF_PROBLEMS if problems else ())}
    changed = _changed_hparams(old.hparams, new.hparams)
    lines = _differences(old, new, changed.keys() & allowed)
    if lines:
        raise ValueError(_message(lines, changed.keys() - allowed, output_dir))
    if not problems and not changed:
        return old
    event: dict[str, Any] = {"step": step, **problems}
    if changed:
        event["hparams"] = changed
    known = {**old.problems, **new.problems}
    return dataclasses.replace(
        old,
        hparams=new.hparams,
        problems=known,
        vocabularies={**old.vocabularies, **new.vocabularies},
        classes={**old.classes, **new.classes},
        usr_dir=new.usr_dir or old.usr_dir,
        retired=tuple(name for name in known if name not in new.problems),
        history=(*old.history, event),
    )


def _problem_changes(old: Description, new: Description) -> dict[str, list[str]]:
    """Returns the names of problems by what becomes of them."""
    changes = {
        "added": [name for name in new.problems if name not in old.problems],
        "returned": [name for name in new.problems if name in old.retired],
        "removed": [name for name in old.trained if name not in new.problems],
    }
    return {change: names for change, names in changes.items() if names}


def _changed_hparams(
    old: hparam.HParams, new: hparam.HParams
) -> dict[str, tuple[Any, Any]]:
    before, after = dataclasses.asdict(old), dataclasses.asdict(new)
    fields = sorted(before.keys() | after.keys())
    pairs = {field: (before.get(field), after.get(field)) for field in fields}
    return {field: pair for field, pair in pairs.items() if pair[0] != pair[1]}


def _differences(
    old: Description, new: Description, allowed: Collection[str]
) -> list[str]:
    """Returns a line for everything in which runs must agree and do not."""
    lines = [
        f"{field}: {getattr(old, field)} -> {getattr(new, field)}"
        for field in ("model", "hparams_set")
        if getattr(old, field) != getattr(new, field)
    ]
    same = {field: getattr(old.hparams, field) for field in allowed}
    lines += hparam.differences(old.hparams, dataclasses.replace(new.hparams, **same))
    for kind, field in (
        ("problem", "problems"),
        ("vocabulary", "vocabularies"),
        ("classes of", "classes"),
    ):
        lines += _changed_entries(kind, getattr(old, field), getattr(new, field))
    return lines


def _changed_entries(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[str]:
    return [
        f"{kind} {name}: {old[name]} -> {new[name]}"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]


def _message(lines: Sequence[str], hparams: Collection[str], output_dir: str) -> str:
    may = sorted(CHANGEABLE.intersection(hparams))
    hint = f" {', '.join(may)} may change with --change_hparams={','.join(may)}."
    return (
        f"'{output_dir}' holds a run that differs from the one asked for:\n  "
        + "\n  ".join(lines)
        + "\nRepeat the first run's settings to continue it, choose another "
        "--output_dir, or start a new run with its weights: "
        f"--warm_start_from={output_dir}." + (hint if may else "")
    )


def log(event: Mapping[str, Any]) -> None:
    """Says what an event of the history of a run changes."""
    meanings = {
        "added": "begins with its data; nets that no other problem has are new",
        "returned": "goes on where it was",
        "removed": "is trained no more; its nets and counters are kept",
    }
    for change, meaning in meanings.items():
        for name in event.get(change, ()):
            logging.info("%s | step %d | %s: %s", change, event["step"], name, meaning)
    for field, (before, after) in event.get("hparams", {}).items():
        logging.info(
            "changed | step %d | %s: %r -> %r", event["step"], field, before, after
        )
