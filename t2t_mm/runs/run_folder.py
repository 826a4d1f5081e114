"""What an output folder says about the model in it.

    config.json          model, hparams, problems and vocabularies of the run
    vocab.*.subwords     the vocabularies themselves
    *.classes.txt        names of classes that a corpus defines
    ckpt-1000.index, ... checkpoints

The trainer writes it at the start, and again when the problems of the run change; a
resumed run and the decoder read it back, so that neither needs the flags of the first
run again, and none reads a checkpoint as something else.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm import __version__, config_fields, hparam, problem, registry
from t2t_mm.data import class_targets
from t2t_mm.features import FeatureSpec, SpaceId

CONFIG_FILE = "config.json"
_FORMAT = 3
_READABLE_FORMATS = (2, 3)  # 2 lacks what has a default in `RunDescription`


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
      classes: names of the classes, by the vocabulary of the feature.
      retired: problems that the model knows and no longer trains.
      history: what was changed, in order; each has the "step" and what happened then.
      weights_only: whether the checkpoints have nothing but weights, to decode with.
    """

    model: str
    hparams_set: str
    hparams: hparam.HParams
    problems: Mapping[str, Mapping[str, FeatureSpec]]
    vocabularies: Mapping[str, str]
    usr_dir: str | None = None
    classes: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    retired: Sequence[str] = ()
    history: Sequence[Mapping[str, Any]] = ()
    weights_only: bool = False

    @property
    def trained(self) -> list[str]:
        """Names of the problems that the run trains."""
        return [name for name in self.problems if name not in self.retired]

    def to_json(self) -> dict[str, Any]:
        """Returns the description as plain JSON values."""
        version = {"format": _FORMAT, "version": __version__}
        return {**version, **dataclasses.asdict(self)}


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
        classes={
            str(specs[name]["targets"].vocabulary): list(entry.class_labels(data_dir))
            for name, entry in problems.items()
            if isinstance(entry, class_targets.ClassTargets)
        },
    )


def _sha256(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def write(description: RunDescription, output_dir: str, *sources: str) -> None:
    """Writes `config.json` and copies the vocabularies, each whole or not at all.

    Args:
      description: what to write.
      output_dir: where to.
      *sources: folders, of which the first that has a vocabulary gives it.

    Raises:
      PermissionError: if the folder cannot be written; says so.
    """
    os.makedirs(output_dir, exist_ok=True)
    for name, sha256 in description.vocabularies.items():
        path = os.path.join(output_dir, name)
        if os.path.exists(path) and _sha256(path) == sha256:
            continue
        places = [os.path.join(folder, name) for folder in sources]
        place = next(filter(os.path.exists, places), None)
        if place is None:  # of a retired problem, and the run's own folder is gone
            logging.warning("'%s' is in none of %s.", name, ", ".join(sources))
            continue
        partial = os.path.join(output_dir, f".{name}.partial")
        shutil.copyfile(place, partial)
        os.replace(partial, path)
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
      ValueError: if the file is damaged, or of a version of t2t_mm that writes it in
        another format.
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
    except ValueError as error:
        raise ValueError(f"'{path}' cannot be read: {error}.") from error
    version = values.pop("version", "of an early version")
    found = values.pop("format", None)
    if found not in _READABLE_FORMATS:
        raise ValueError(
            f"'{path}' must have format {' or '.join(map(str, _READABLE_FORMATS))} for "
            f"this t2t_mm, {__version__}; it has {found}, of t2t_mm {version}. "
            "Use the folder with that version, or train anew in another --output_dir."
        )
    try:
        return RunDescription(
            **values
            | {"hparams": _read_hparams(values["hparams_set"], values["hparams"])}
            | {"problems": _specs_from_json(values["problems"])}
            | {name: tuple(values.get(name, ())) for name in ("retired", "history")}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}', of t2t_mm {version}, cannot be read: {error}."
        ) from error


def _read_hparams(name: str, values: Mapping[str, Any]) -> hparam.HParams:
    """Returns hparams of the type of a set; fields that are younger have defaults."""
    hparams_cls = type(registry.HPARAMS.get(name)())
    unknown = sorted(values.keys() - config_fields.field_types(hparams_cls).keys())
    if unknown:
        raise ValueError(
            f"{hparams_cls.__name__} of this t2t_mm, {__version__}, has no "
            f"{', '.join(unknown)}; use the version that wrote it"
        )
    return hparams_cls(**values)


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


def check_same_vocabularies(description: RunDescription, other_dir: str) -> None:
    """Checks that what two runs call a vocabulary is the same in both.

    A folder without a run says nothing about vocabularies, and passes.

    Raises:
      ValueError: if one has other contents.
    """
    if not exists(other_dir):
        return
    others = read(other_dir).vocabularies
    for name, expected in description.vocabularies.items():
        if (found := others.get(name, expected)) != expected:
            raise ValueError(
                f"The vocabulary '{name}' of the run in '{other_dir}' has SHA-256 "
                f"{found[:16]}..., that of the run to decode with {expected[:16]}...: "
                "the same ids mean other words. Use checkpoints of runs on the same "
                "data."
            )


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
