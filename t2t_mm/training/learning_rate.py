"""Learning rates: products of factors, each a function of the step.

`learning_rate_schedule` joins the names of factors with "*", as Tensor2Tensor did:
"constant*linear_warmup*rsqrt_decay". With s for the step, w for
`learning_rate_warmup_steps` and d for `learning_rate_decay_steps` they are

    constant                learning_rate_constant
    linear_warmup           min(1, s / w)
    linear_decay            (train_steps - s) / d, between 0 and 1
    rsqrt_decay             1 / sqrt(max(s, w))
    rsqrt_normalized_decay  sqrt(w) / sqrt(max(s, w))
    rsqrt_hidden_size       1 / sqrt(hidden_size)
    exp_decay               learning_rate_decay_rate^((s - w) / d), 1 before w
    cosdecay                (1 + cos(pi s / d)) / 2, 1 up to w
    cosine_decay            (1 + cos(pi min(1, s / d))) / 2
    single_cycle_cos_decay  (1 + cos(pi (s - w) / (train_steps - w))) / 2, 1 before w
    multi_cycle_cos_decay   (1 + cos(pi (s - w) / d)) / 2, 1 before w
    legacy                  learning_rate times `learning_rate_decay_scheme`

"legacy" is the rate of the releases before the grammar, with which `learning_rate` of
old hparams sets means what it meant. It is 0.002 times as high for Adam.
"""

import difflib
import fnmatch
import math
from collections.abc import Callable, Collection, Iterable, Mapping

from t2t_mm import config_fields, hparam

Schedule = Callable[[float], float]
Factor = Callable[[float, hparam.HParams, int], float]

_LEGACY_ADAM_CORRECTION = 0.002


def _constant(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return hparams.learning_rate_constant


def _linear_warmup(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return min(1.0, step / hparams.learning_rate_warmup_steps)


def _decay_steps(hparams: hparam.HParams, train_steps: int) -> int:
    return hparams.learning_rate_decay_steps or train_steps


def _linear_decay(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    left = (train_steps - step) / _decay_steps(hparams, train_steps)
    return min(1.0, max(0.0, left))


def _falling_cosine(share: float) -> float:
    """Returns 1 at 0, 0 at 1, and 1 again at 2."""
    return 0.5 * (1.0 + math.cos(math.pi * share))


def _cosine_decay(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return _falling_cosine(min(1.0, step / _decay_steps(hparams, train_steps)))


def _cosdecay(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    if step <= hparams.learning_rate_warmup_steps:
        return 1.0
    return _falling_cosine(step / _decay_steps(hparams, train_steps))


def _after_warmup(step: float, hparams: hparam.HParams) -> float:
    return max(0.0, step - hparams.learning_rate_warmup_steps)


def _single_cycle(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    cycle = train_steps - hparams.learning_rate_warmup_steps
    return _falling_cosine(_after_warmup(step, hparams) / cycle)


def _multi_cycle(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    cycle = _decay_steps(hparams, train_steps)
    return _falling_cosine(_after_warmup(step, hparams) / cycle)


def _exp_decay(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    decays = _after_warmup(step, hparams) / _decay_steps(hparams, train_steps)
    if hparams.learning_rate_decay_staircase:
        decays = math.floor(decays)
    return hparams.learning_rate_decay_rate**decays


def _rsqrt_decay(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return 1.0 / math.sqrt(max(step, hparams.learning_rate_warmup_steps))


def _rsqrt_normalized(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    warmup = math.sqrt(hparams.learning_rate_warmup_steps)
    return warmup * _rsqrt_decay(step, hparams, train_steps)


def _rsqrt_hidden_size(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return 1.0 / math.sqrt(hparams.hidden_size)


def _legacy(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    correction = _LEGACY_ADAM_CORRECTION if "adam" in hparams.optimizer else 1.0
    scheme = LEGACY_SCHEMES[hparams.learning_rate_decay_scheme]
    return hparams.learning_rate * correction * scheme(step, hparams, train_steps)


def _noam(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    warmup = hparams.learning_rate_warmup_steps
    shape = min((step + 1) * warmup**-1.5, (step + 1) ** -0.5)
    return 5000.0 * hparams.hidden_size**-0.5 * shape


def _none(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return 1.0


def _piecewise(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    multiple = 1.0
    for boundary, after in zip(
        hparams.learning_rate_boundaries, hparams.learning_rate_multiples, strict=True
    ):
        multiple = after if step > boundary else multiple
    return multiple


def _cosine(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return _falling_cosine(step / hparams.learning_rate_cosine_cycle_steps)


def _cycle_linear_10x(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    half = hparams.learning_rate_warmup_steps
    return 0.3 + 3.0 * (1.0 - abs(half - step % (2 * half)) / half)


def _sqrt(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return 500.0 / math.sqrt(max(1.0, _after_warmup(step, hparams)))


def _exp100k(step: float, hparams: hparam.HParams, train_steps: int) -> float:
    return 0.94 ** (step // 100_000)


def _exp_at_the_end(rate: float, steps: int) -> Factor:
    """Returns a scheme that multiplies by `rate` in each of the last `steps`."""

    def scheme(step: float, hparams: hparam.HParams, train_steps: int) -> float:
        return rate ** max(0.0, step - (train_steps - steps))

    return scheme


def _after_exponential_warmup(scheme: Factor) -> Factor:
    """Returns a scheme that rises from 0.01 to 1 first."""

    def warmed_up(step: float, hparams: hparam.HParams, train_steps: int) -> float:
        warmup = hparams.learning_rate_warmup_steps
        if step < warmup:
            return 0.01 ** ((warmup - step) / warmup)
        return scheme(step, hparams, train_steps)

    return warmed_up


LEGACY_SCHEMES: dict[str, Factor] = {
    "cosine": _after_exponential_warmup(_cosine),
    "cyclelinear10x": _cycle_linear_10x,
    "exp": _after_exponential_warmup(_exp_decay),
    "exp100k": _exp100k,
    "exp10k": _after_exponential_warmup(_exp_at_the_end(0.9995, 10_000)),
    "exp500k": _after_exponential_warmup(_exp_at_the_end(0.9999955, 500_000)),
    "exp50k": _after_exponential_warmup(_exp_at_the_end(0.99995, 50_000)),
    "noam": _noam,
    "none": _after_exponential_warmup(_none),
    "piecewise": _after_exponential_warmup(_piecewise),
    "sqrt": _after_exponential_warmup(_sqrt),
}

FACTORS: dict[str, Factor] = {
    "constant": _constant,
    "cosdecay": _cosdecay,
    "cosine_decay": _cosine_decay,
    "exp_decay": _exp_decay,
    "legacy": _legacy,
    "linear_decay": _linear_decay,
    "linear_warmup": _linear_warmup,
    "multi_cycle_cos_decay": _multi_cycle,
    "rsqrt_decay": _rsqrt_decay,
    "rsqrt_hidden_size": _rsqrt_hidden_size,
    "rsqrt_normalized_decay": _rsqrt_normalized,
    "single_cycle_cos_decay": _single_cycle,
}


def make_schedule(hparams: hparam.HParams, train_steps: int) -> Schedule:
    """Returns the learning rate as a function of the step (0, 1, ...).

    Args:
      hparams: names the factors and their constants.
      train_steps: where decaying factors end, and how long they take if
        `learning_rate_decay_steps` is 0.

    Raises:
      ValueError: for a factor or a scheme that does not exist, or one that does not fit
        the number of steps.
    """
    names = [name.strip() for name in hparams.learning_rate_schedule.split("*")]
    for name in names:
        _check_known("learning_rate_schedule", "factor", name, FACTORS)
    if "legacy" in names:
        scheme = hparams.learning_rate_decay_scheme
        _check_known("learning_rate_decay_scheme", "scheme", scheme, LEGACY_SCHEMES)
    warmup = hparams.learning_rate_warmup_steps
    if "single_cycle_cos_decay" in names and train_steps <= warmup:
        raise ValueError(
            "`train_steps` must be above `learning_rate_warmup_steps` "
            f"({warmup}) for 'single_cycle_cos_decay'; got {train_steps}."
        )

    def learning_rate(step: float) -> float:
        return math.prod(FACTORS[name](step, hparams, train_steps) for name in names)

    return learning_rate


def _check_known(field: str, kind: str, name: str, known: Mapping[str, Factor]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, 1, 0.4)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise ValueError(
            f"`{field}` has no {kind} '{name}'. {hint}There are: {', '.join(known)}."
        )


def variable_factors(text: str, names: Iterable[str]) -> dict[str, float]:
    """Returns the factor of the learning rate of every variable.

    Args:
      text: in the grammar of `learning_rate_factors`: "pattern:factor,..." with shell
        patterns of the names without the model's, in which "*" matches "/" as well.
      names: of the variables, each with the name of the model in front.

    Raises:
      ValueError: if `text` is not in the grammar or a pattern matches no variable.
    """
    factors = dict.fromkeys(names, 1.0)
    for pattern, factor in config_fields.parse_pairs("learning_rate_factors", text):
        matching = _matching(pattern, factors)
        if not matching:
            tops = sorted({_inner(name).partition("/")[0] for name in factors})
            raise ValueError(
                f"`learning_rate_factors` must name variables; '{pattern}' matches "
                f"none. Their names begin with: {', '.join(tops)}."
            )
        factors |= dict.fromkeys(matching, factor)
    return factors


def restrict_factors(text: str, names: Collection[str]) -> str:
    """Returns `learning_rate_factors` without patterns that match no variable."""
    items = text.split(",")
    return ",".join(
        item for item in items if _matching(item.rpartition(":")[0].strip(), names)
    )


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatch.fnmatchcase(_inner(name), pattern)]


def _inner(name: str) -> str:
    """Returns a variable's name without the model's."""
    return name.removesuffix(":0").partition("/")[2] or name.removesuffix(":0")
