"""How to run, as opposed to what to train."""

import dataclasses

from t2t_mm import hparam

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
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
      max_skipped_steps: steps in a row of one problem that may be skipped because a
        loss or a gradient is not finite; one more stops the run.
      jit_compile: compile each step with XLA; dropout and noise are other numbers then.
        None to do so on accelerators, and not on a CPU, where it takes minutes.
      strategy: of `tf.distribute`: "one" device, "mirrored" over several of a machine,
        "multi_worker", "tpu", or "auto" to go by what there is.
      num_devices: devices of each machine to use; 0 for all GPUs, or the CPU.
      seed: seeds initial values, dropout, mixing and the order of the data.
    """

    train_steps: int = 250_000
    eval_steps: int = 100
    eval_every_steps: int = 1000
    save_every_steps: int = 1000
    keep_checkpoints: int = 20
    log_every_steps: int = 100
    max_skipped_steps: int = 10
    jit_compile: bool | None = None
    strategy: str = "auto"
    num_devices: int = 0
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
        ):
            self._check_at_least(1, field)
        for field in (
            "eval_steps",
            "eval_every_steps",
            "max_skipped_steps",
            "num_devices",
            "seed",
        ):
            self._check_at_least(0, field)
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"`strategy` must be one of {', '.join(STRATEGIES)}; got "
                f"'{self.strategy}'."
            )
        if self.seed > _LARGEST_SEED:
            raise ValueError(
                f"`seed` must be at most {_LARGEST_SEED}; got {self.seed}."
            )

    def _check_at_least(self, least: int, field: str) -> None:
        if getattr(self, field) < least:
            raise ValueError(
                f"`{field}` must be at least {least}; got {getattr(self, field)}."
            )
