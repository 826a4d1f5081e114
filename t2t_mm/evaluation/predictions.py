"""Outputs of a model beside what is right."""

import dataclasses
from collections.abc import Iterable, Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a model makes of some inputs, and what is right.

    Attributes:
      outputs: the model's, a text for each input.
      references: right texts for each input, at least one.
      candidates: for each input what the model holds for likely, best first; None if
        nobody asked it. The first one is the output.
    """

    outputs: Sequence[str]
    references: Sequence[Sequence[str]]
    candidates: Sequence[Sequence[str]] | None = None

    def __post_init__(self) -> None:
        """Checks that everything is there.

        Raises:
          ValueError: if something is missing; says what.
        """
        for name in ("references", "candidates"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.outputs):
                raise ValueError(
                    f"There must be an output for every example; got "
                    f"{len(self.outputs)} outputs and {name} of {len(given)} examples."
                )
        if not all(self.references):
            raise ValueError("Every example must have a reference; one has none.")

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> "Predictions":
        """Returns predictions with one reference each, from (reference, output)."""
        listed = list(pairs)
        return cls(
            outputs=[output for _, output in listed],
            references=[[reference] for reference, _ in listed],
        )

    def first_references(self) -> list[str]:
        """Returns the first reference of each example."""
        return [references[0] for references in self.references]
