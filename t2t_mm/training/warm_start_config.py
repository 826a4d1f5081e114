"""What to take over from another run."""

import dataclasses
from collections.abc import Mapping, Sequence

REFUSE, SKIP, RESIZE = "refuse", "skip", "resize"
MISMATCHES = (REFUSE, SKIP, RESIZE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WarmStartConfig:
    """How a run begins with the weights of another.

    Attributes:
      path: folder of the other run, or of one of its best checkpoints, for the newest
        checkpoint there, or prefix of the files of a checkpoint in it.
      step: begin at its step, and not at 0.
      optimizer: take over what its optimizer keeps about the variables.
      include: shell patterns of variables to take over, by their names without the
        model's; "*" matches "/" as well.
      exclude: shell patterns of those to leave as they are, though included.
      renamed: where to take variables from whose names begin so, if not from those of
        the same name: {"symbol_bytes_258/input": "symbol_bytes_258/shared"}.
      mismatch: what becomes of variables of other shapes: "refuse" to start, "skip"
        them, or "resize": copy the part that both have.
    """

    path: str
    step: bool = False
    optimizer: bool = False
    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    mismatch: str = REFUSE

    def __post_init__(self) -> None:
        """Checks the fields.

        Raises:
          ValueError: for a value that there is not.
        """
        if self.mismatch not in MISMATCHES:
            raise ValueError(
                f"`mismatch` must be one of {', '.join(MISMATCHES)}; got "
                f"'{self.mismatch}'."
            )
        if not self.include:
            raise ValueError("`include` must have a pattern; got none.")
