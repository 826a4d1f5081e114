"""Which nets of one run go by another name, or other ids, in the next one."""

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from t2t_mm import registry
from t2t_mm.data import text_encoder
from t2t_mm.features import FeatureSpec
from t2t_mm.runs import run_folder
from t2t_mm.training import row_mapping


class Run(NamedTuple):
    """A run and the folder that has its vocabularies."""

    description: run_folder.RunDescription
    folder: str


class ScopePairs:
    """Finds for every modality of a run the one of another that it begins with.

    It is the one of the same name; else that of the same role in the same problem; else
    one of the same vocabulary; else, for text, the only text of the other run.
    """

    def __init__(self, old: Run, new: Run, renamed: Mapping[str, str]) -> None:
        """Compares two runs.

        Args:
          old: the run to begin with.
          new: the run that begins.
          renamed: what the user says: beginnings of names in the new run, and what is
            in their place in the old one.

        Raises:
          LookupError: if a modality of a run is not registered.
          ValueError: if `renamed` has a beginning that is not in whole parts.
        """
        self._old, self._new = old, new
        self._old_specs = _specs_by_scope(old)
        self._new_specs = _specs_by_scope(new)
        self._names = {scope: self._partner(scope) for scope in self._new_specs}
        self._names |= renamed
        self._mappings: dict[tuple[str, str], row_mapping.RowMapping | None] = {}

    def _partner(self, scope: str) -> str:
        if scope in self._old_specs:
            return scope
        return next(self._candidates(scope), scope)

    def _candidates(self, scope: str) -> Iterator[str]:
        spec = self._new_specs[scope]
        for problem, features in self._new.description.problems.items():
            for role, own in features.items():
                before = self._old.description.problems.get(problem, {}).get(role)
                if before is not None and own.modality == before.modality:
                    if _scope(own) == scope:
                        yield _scope(before)
        alike = {
            s: o for s, o in self._old_specs.items() if o.modality == spec.modality
        }
        if spec.vocabulary is not None:
            yield from (s for s, o in alike.items() if o.vocabulary == spec.vocabulary)
        texts = [s for s, o in alike.items() if _is_text(o)]
        if _is_text(spec) and len(texts) == 1:
            yield texts[0]

    def old_name(self, name: str) -> str:
        """Returns the name in the old run of a variable of the new one."""
        parts = name.split("/")
        for end in range(len(parts), 0, -1):
            if (beginning := "/".join(parts[:end])) in self._names:
                return "/".join([self._names[beginning], *parts[end:]])
        return name

    def ids(self, name: str) -> tuple[row_mapping.RowMapping, int] | None:
        """Returns how the ids of a variable of the new run go with the old ones.

        Returns:
          The mapping and the axis of the ids; None if it has none, or if nothing is
          known of them on one side.
        """
        scope, old_scope = name.partition("/")[0], self.old_name(name).partition("/")[0]
        new, old = self._new_specs.get(scope), self._old_specs.get(old_scope)
        if new is None or old is None:
            return None
        axes = registry.MODALITIES.get(new.modality).id_axes
        axis = axes.get(name.partition("/")[2])
        if axis is None:
            return None
        if (scope, old_scope) not in self._mappings:
            self._mappings[scope, old_scope] = self._map_ids(old, new)
        mapping = self._mappings[scope, old_scope]
        return None if mapping is None else (mapping, axis)

    def _map_ids(
        self, old: FeatureSpec, new: FeatureSpec
    ) -> row_mapping.RowMapping | None:
        before, after = _entries(old, self._old), _entries(new, self._new)
        if before is None or after is None:
            return None
        return row_mapping.by_text(before, after)


def _scope(spec: FeatureSpec) -> str:
    return registry.MODALITIES.get(spec.modality).scope(spec)


def _specs_by_scope(run: Run) -> dict[str, FeatureSpec]:
    return {
        _scope(spec): spec
        for features in run.description.problems.values()
        for spec in features.values()
    }


def _is_text(spec: FeatureSpec) -> bool:
    name = spec.vocabulary or ""
    return name == registry.BYTE_VOCABULARY or name.endswith(registry.VOCABULARY_ENDING)


def _entries(spec: FeatureSpec, run: Run) -> row_mapping.Entries | None:
    """Returns what the ids of a feature stand for; None if nothing says it."""
    name = spec.vocabulary or ""
    if _is_text(spec):
        encoder: text_encoder.TextEncoder = text_encoder.ByteTextEncoder()
        if name != registry.BYTE_VOCABULARY:
            path = os.path.join(run.folder, name)
            encoder = text_encoder.load_subword_encoder(path)
        return row_mapping.Entries(encoder.texts, encoder.encode)
    if name in run.description.classes:
        return row_mapping.Entries(run.description.classes[name])
    return None
