"""How to run, as opposed to what to train."""

import dataclasses
import re

from t2t_mm import hparam

_LARGEST_SEED = 2**31 - 1  # what an int32 holds


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Options of a run; gin binds them as `RunConfig`, flags set them.

    Attributes:
      train_steps: last step.
      eval_steps: batches per problem and evaluation; 0 for the whole dev split.
      eval_every_steps: steps between evaluations; 0 to evaluate at the end only.
      save_every_steps: steps between checkpoints.
      keep_checkpoints: how many to keep.
      log_every_steps: steps between two lines of progress.
      show_samples: examples of dev per problem whose outputs, pictures and attention
        TensorBoard shows; 0 for none.
      show_every_evals: evaluations between two times that it is shown.
      profile: "START:STOP", steps to profile for TensorBoard; none if empty.
      max_skipped_steps: steps in a row of one problem that may be skipped because a
        loss or a gradient is not finite; one more stops the run.
      jit_compile: compile each step with XLA; dropout and noise are other numbers then.
      seed: seeds initial values, dropout, mixing and the order of the data.
    """

    train_steps: int = 250_000
    eval_steps: int = 100
    eval_every_steps: int = 1000
    save_every_steps: int = 1000
    keep_checkpoints: int = 20
    log_every_steps: int = 100
    show_samples: int = 3
    show_every_evals: int = 5
    profile: str = ""
    max_skipped_steps: int = 10
    jit_compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
          ValueError: naming the field, its value and what is allowed.
        """
        hparam.check_types(self)
        for field in (
            "train_steps",
            "save_every_steps",
            "keep_checkpoints",
            "log_every_steps",
            "show_every_evals",
        ):
            self._check_at_least(1, field)
        for field in (
            "eval_steps",
            "eval_every_steps",
            "max_skipped_steps",
            "show_samples",
            "seed",
        ):
            self._check_at_least(0, field)
        _ = self.profiled_steps  # raises if it cannot be read
        if self.seed > _LARGEST_SEED:
            raise ValueError(
                f"`seed` must be at most {_LARGEST_SEED}; got {self.seed}."
            )

    @property
    def profiled_steps(self) -> range:
        """The steps of `profile`."""
        if not self.profile:
            return range(0)
        match = re.fullmatch(r"(\d+):(\d+)", self.profile)
        steps = range(int(match[1]), int(match[2])) if match else range(0)
        if not steps:
            raise ValueError(
                "`profile` must read START:STOP, two steps of which STOP is later; got "
                f"'{self.profile}'."
            )
        return steps

    def _check_at_least(self, least: int, field: str) -> None:
        if getattr(self, field) < least:
            raise ValueError(
                f"`{field}` must be at least {least}; got {getattr(self, field)}."
            )
