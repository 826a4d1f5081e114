"""What an output folder says about the model in it.

    config.json          model, hparams, problems and vocabularies of the run
    vocab.*.subwords     the vocabularies themselves
    *.classes.txt        names of classes that a corpus defines
    ckpt-1000.index, ... checkpoints

The trainer writes it once; a resumed run and the decoder read it back, so that neither
needs the flags of the first run again, and none reads a checkpoint as something else.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any

from t2t_mm import hparam, problem, registry
from t2t_mm.features import FeatureSpec, SpaceId

CONFIG_FILE = "config.json"
_FORMAT = 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunDescription:
    """Everything that decides which variables a run has, and what they mean.

    Attributes:
      model: registered name.
      hparams_set: registered name of the set that `hparams` started from.
      hparams: all values, overrides applied.
      problems: specs of "inputs" and "targets" by name of the problem.
      vocabularies: SHA-256 of each vocabulary, or list of classes, by file name.
      usr_dir: the user's registrations, or None.
    """

    model: str
    hparams_set: str
    hparams: hparam.HParams
    problems: Mapping[str, Mapping[str, FeatureSpec]]
    vocabularies: Mapping[str, str]
    usr_dir: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the description as plain JSON values."""
        return {"format": _FORMAT, **dataclasses.asdict(self)}


def describe(
    *,
    model: str,
    hparams_set: str,
    hparams: hparam.HParams,
    problems: Mapping[str, problem.Problem],
    data_dir: str,
    usr_dir: str | None = None,
) -> RunDescription:
    """Returns the description of a run on the data in `data_dir`.

    Raises:
      FileNotFoundError: if a vocabulary is missing.
    """
    specs = {name: entry.feature_specs(data_dir) for name, entry in problems.items()}
    files = {file for entry in problems.values() for file in entry.vocabulary_files}
    return RunDescription(
        model=model,
        hparams_set=hparams_set,
        hparams=hparams,
        problems=specs,
        vocabularies={f: _sha256(os.path.join(data_dir, f)) for f in sorted(files)},
        usr_dir=os.path.abspath(usr_dir) if usr_dir else None,
    )


def _sha256(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def write(description: RunDescription, output_dir: str, data_dir: str) -> None:
    """Writes `config.json` and copies the vocabularies, each whole or not at all.

    Raises:
      PermissionError: if the folder cannot be written; says so.
    """
    os.makedirs(output_dir, exist_ok=True)
    for name in description.vocabularies:
        partial = os.path.join(output_dir, f".{name}.partial")
        shutil.copyfile(os.path.join(data_dir, name), partial)
        os.replace(partial, os.path.join(output_dir, name))
    partial = os.path.join(output_dir, f".{CONFIG_FILE}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        json.dump(description.to_json(), file, indent=2)
        file.write("\n")
    os.replace(partial, os.path.join(output_dir, CONFIG_FILE))


def exists(output_dir: str) -> bool:
    """Returns whether `output_dir` holds a run."""
    return os.path.exists(os.path.join(output_dir, CONFIG_FILE))


def read(output_dir: str) -> RunDescription:
    """Returns the description in `output_dir`.

    Raises:
      FileNotFoundError: if there is none.
      LookupError: if the run used registrations that are not loaded.
      ValueError: if the file is damaged or of another version of t2t_mm.
    """
    path = os.path.join(output_dir, CONFIG_FILE)
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"--output_dir must be the folder of a training run; there is no '{path}'. "
            "Train with t2t-trainer first."
        )
    try:
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        if values.pop("format") != _FORMAT:
            raise ValueError("it was written by another version of t2t_mm")
        hparams_cls = type(registry.HPARAMS.get(values["hparams_set"])())
        return RunDescription(
            **values
            | {"hparams": hparams_cls(**values["hparams"])}
            | {"problems": _specs_from_json(values["problems"])}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' cannot be read: {error}.") from error


def _specs_from_json(problems: Mapping[str, Any]) -> dict[str, dict[str, FeatureSpec]]:
    return {
        name: {
            feature: FeatureSpec(
                **spec
                | {"shape": tuple(spec["shape"]), "space_id": SpaceId(spec["space_id"])}
            )
            for feature, spec in specs.items()
        }
        for name, specs in problems.items()
    }


def check_same(old: RunDescription, new: RunDescription, output_dir: str) -> None:
    """Checks that a run may continue another.

    Raises:
      ValueError: listing every difference.
    """
    lines = [
        f"{field}: {getattr(old, field)} -> {getattr(new, field)}"
        for field in ("model", "hparams_set")
        if getattr(old, field) != getattr(new, field)
    ]
    lines += hparam.differences(old.hparams, new.hparams)
    lines += _dict_differences("problem", old.problems, new.problems)
    lines += _dict_differences("vocabulary", old.vocabularies, new.vocabularies)
    if lines:
        raise ValueError(
            f"'{output_dir}' holds a run that differs from the one asked for:\n  "
            + "\n  ".join(lines)
            + "\nRepeat the first run's settings to continue it, or choose another "
            "--output_dir."
        )


def _dict_differences(
    kind: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> list[str]:
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"{kind} {name} is left out")
        elif name not in old:
            lines.append(f"{kind} {name} is added")
        elif old[name] != new[name]:
            lines.append(f"{kind} {name}: {old[name]} -> {new[name]}")
    return lines


def check_vocabularies(description: RunDescription, data_dir: str) -> None:
    """Checks that `data_dir` has the vocabularies that the model was trained with.

    Raises:
      FileNotFoundError: if one is missing.
      ValueError: if one has other contents.
    """
    for name, expected in description.vocabularies.items():
        path = os.path.join(data_dir, name)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"The model needs the vocabulary '{name}', and there is no '{path}'."
            )
        if (found := _sha256(path)) != expected:
            raise ValueError(
                f"The model was trained with a vocabulary '{name}' of SHA-256 "
                f"{expected[:16]}..., and '{path}' has {found[:16]}...: its ids mean "
                "other words. Use the data folder of the training run."
            )
