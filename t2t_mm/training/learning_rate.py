"""Learning rates: products of factors, each a function of the step.

`learning_rate_schedule` joins the names of factors with "*", as Tensor2Tensor did:
"constant*linear_warmup*rsqrt_decay".
"""

import difflib
import math
from collections.abc import Callable

from t2t_mm import hparam

Factor = Callable[[float, hparam.HParams, int], float]


def _constant(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return hparams.learning_rate_constant


def _linear_warmup(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return min(1.0, step / hparams.learning_rate_warmup_steps)


def _linear_decay(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return min(1.0, max(0.0, (decay_steps - step) / decay_steps))


def _cosine_decay(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, step / decay_steps)))


def _rsqrt_decay(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return 1.0 / math.sqrt(max(step, hparams.learning_rate_warmup_steps))


def _rsqrt_hidden_size(step: float, hparams: hparam.HParams, decay_steps: int) -> float:
    return 1.0 / math.sqrt(hparams.hidden_size)


FACTORS: dict[str, Factor] = {
    "constant": _constant,
    "cosine_decay": _cosine_decay,
    "linear_decay": _linear_decay,
    "linear_warmup": _linear_warmup,
    "rsqrt_decay": _rsqrt_decay,
    "rsqrt_hidden_size": _rsqrt_hidden_size,
}


def make_schedule(hparams: hparam.HParams, train_steps: int) -> Callable[[int], float]:
    """Returns the learning rate as a function of the step (0, 1, ...).

    Args:
      hparams: names the factors and their constants.
      train_steps: where decaying factors end if `learning_rate_decay_steps` is 0.

    Raises:
      ValueError: for a factor that does not exist.
    """
    names = [name.strip() for name in hparams.learning_rate_schedule.split("*")]
    for name in names:
        if name not in FACTORS:
            close = difflib.get_close_matches(name, FACTORS, 1, 0.4)
            hint = f"Did you mean '{close[0]}'? " if close else ""
            raise ValueError(
                f"`learning_rate_schedule` has no factor '{name}'. {hint}"
                f"There are: {', '.join(FACTORS)}."
            )
    decay_steps = hparams.learning_rate_decay_steps or train_steps

    def learning_rate(step: int) -> float:
        factors = (FACTORS[name](step, hparams, decay_steps) for name in names)
        return math.prod(factors)

    return learning_rate
