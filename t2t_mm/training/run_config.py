"""How to run, as opposed to what to train."""

import dataclasses
import re

from t2t_mm import config_fields

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
_LARGEST_SEED = 2**31 - 1  # what an int32 holds


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig(config_fields.CheckedFields):
    """Options of a run; gin binds them as `RunConfig`, flags set them.

    Attributes:
      train_steps: last step.
      eval_steps: batches per problem and evaluation; 0 for the whole dev split.
      eval_decode: batches per problem and evaluation whose outputs are decoded and
        scored; 0 for none.
      eval_every_steps: steps between evaluations; 0 to evaluate at the end only.
      save_every_steps: steps between checkpoints.
      save_every_seconds: seconds between checkpoints, in place of steps; 0 to go by
        steps.
      keep_checkpoints: how many of the newest to keep.
      keep_every_hours: hours between checkpoints that are kept for good besides; 0 for
        none.
      keep_best: metrics by which the best checkpoint is kept, with commas between, such
        as "wmt_ende/accuracy"; ":max" or ":min" may follow.
      eval_early_stopping_steps: end the run when a metric has not improved for so many
        steps; 0 for never.
      eval_early_stopping_metric: "problem/metric", or "metric" for the mean over the
        problems.
      eval_early_stopping_metric_delta: how much better is an improvement.
      eval_early_stopping_metric_minimize: whether less is better; None to go by the
        name of the metric.
      log_every_steps: steps between two lines of progress.
      steps_per_loop: most steps that are made in one call, without a return to Python.
      show_samples: examples of dev per problem whose outputs, pictures and attention
        TensorBoard shows; 0 for none.
      show_every_evals: evaluations between two times that it is shown.
      profile: "START:STOP", steps to profile for TensorBoard; none if empty.
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
    eval_decode: int = 0
    eval_every_steps: int = 1000
    save_every_steps: int = 1000
    save_every_seconds: float = 0.0
    keep_checkpoints: int = 20
    keep_every_hours: float = 0.0
    keep_best: str = ""
    eval_early_stopping_steps: int = 0
    eval_early_stopping_metric: str = "loss"
    eval_early_stopping_metric_delta: float = 0.1
    eval_early_stopping_metric_minimize: bool | None = None
    log_every_steps: int = 100
    steps_per_loop: int = 1
    show_samples: int = 3
    show_every_evals: int = 5
    profile: str = ""
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
        config_fields.check_types(self)
        self._check_numbers()
        self.check_choice("strategy", STRATEGIES)
        for field in ("keep_best", "eval_early_stopping_steps"):
            if getattr(self, field) and not self.eval_every_steps:
                raise ValueError(
                    f"`{field}` goes by evaluations, so `eval_every_steps` must be at "
                    "least 1; got 0."
                )
        _ = self.profiled_steps  # raises if it cannot be read

    def _check_numbers(self) -> None:
        self.check_positive(
            "train_steps",
            "save_every_steps",
            "keep_checkpoints",
            "log_every_steps",
            "steps_per_loop",
            "show_every_evals",
        )
        self.check_not_negative(
            "eval_steps",
            "eval_decode",
            "eval_every_steps",
            "save_every_seconds",
            "keep_every_hours",
            "eval_early_stopping_steps",
            "eval_early_stopping_metric_delta",
            "max_skipped_steps",
            "num_devices",
            "show_samples",
            "seed",
        )
        if self.seed > _LARGEST_SEED:
            raise ValueError(
                f"`seed` must be at most {_LARGEST_SEED}; got {self.seed}."
            )

    def is_evaluation_due(self, step: int) -> bool:
        """Returns whether `eval_every_steps` asks for an evaluation after a step."""
        every = self.eval_every_steps
        return bool(every) and step > 0 and step % every == 0

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
