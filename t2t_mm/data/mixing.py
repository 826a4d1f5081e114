"""Which problems train at which step: a pure function of seed, step and evaluations.

The grammar of the hyperparameter `mixing`:

    proportional              by the number of training examples
    equal                     the same for all
    capped:20000              by that number, but at most by 20000
    temperature:2             by the square root of that number
    temperature:2,capped:9000 both (Raffel et al. 2020, section 3.5.2)
    wmt_ende:3,imagenet:1     by the given weights; problems left out are an error
    step @0 a=1 b=1 @5000 b=1   from each step on by its weights; others are not drawn
    linear @0 a=1 @5000 b=1   the same, but in a straight line from one to the next
    adaptive                  by the share of the first dev loss that is left
    adaptive:2                by the square root of that share

Temperatures and weights may be fractions. Evaluations that "adaptive" reads are those
of `eval_every_steps`; it begins with equal rates, and multiplies them by 0.1 to 10.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from t2t_mm import config_fields

_STREAM = 1  # sets these random numbers apart from others of the same seed
_LEAST_LEFT, _MOST_LEFT = 0.1, 10.0
_FIELD = "mixing"

Rates = dict[str, float]


class Mixing:
    """The rates of problems as they change over a run.

    Attributes:
      is_adaptive: whether they depend on evaluations.
    """

    def __init__(
        self,
        points: Sequence[tuple[int, Mapping[str, float]]],
        *,
        is_linear: bool = False,
        adaptive_power: float = 0.0,
    ) -> None:
        """Creates a mixing.

        Args:
          points: steps in rising order, each with the weights of all problems from
            there on. The first holds before its step as well.
          is_linear: rates go in a straight line from one point to the next.
          adaptive_power: of the share of the loss that is left; 0 not to read it.
        """
        self._steps = [step for step, _ in points]
        # Sorted, so that the order in which a user lists problems changes nothing.
        self.names = sorted(points[0][1])
        rows = np.array([[weights[n] for n in self.names] for _, weights in points])
        self._rates = rows / rows.sum(1, keepdims=True)
        self._is_linear = is_linear
        self._power = adaptive_power
        self.is_adaptive = adaptive_power != 0.0

    def rates_at(
        self, step: int, losses_left: Mapping[str, float] | None = None
    ) -> Rates:
        """Returns the rate of every problem at a step; they sum to 1.

        Args:
          step: number of updates before it.
          losses_left: by problem, the share of its first dev loss that is left.
        """
        if self._is_linear:
            columns = self._rates.T
            rates = np.array([np.interp(step, self._steps, rate) for rate in columns])
        else:
            later = int(np.searchsorted(self._steps, step, side="right"))
            rates = self._rates[max(0, later - 1)]
        if self.is_adaptive:
            left = [(losses_left or {}).get(name, 1.0) for name in self.names]
            weights = rates * np.clip(left, _LEAST_LEFT, _MOST_LEFT) ** self._power
            rates = weights / weights.sum()
        return dict(zip(self.names, map(float, rates), strict=True))


def parse_mixing(text: str, num_examples: Mapping[str, int]) -> Mixing:
    """Returns the mixing that `text` describes.

    Args:
      text: in the grammar above.
      num_examples: number of training examples by problem.

    Raises:
      ValueError: if `text` is not in the grammar or its weights do not fit.
    """
    word, _, rest = text.partition(" ")
    if word in ("step", "linear"):
        points = _parse_points(rest, text, num_examples)
        return Mixing(points, is_linear=word == "linear")
    if re.match(r"adaptive(:|$)", text):
        power = 1.0 / _positive(text.partition(":")[2] or "1", text)
        return Mixing([(0, dict.fromkeys(num_examples, 1.0))], adaptive_power=power)
    return Mixing([(0, _parse_constant(text, num_examples))])


def _parse_constant(text: str, num_examples: Mapping[str, int]) -> Rates:
    if text == "equal":
        return dict.fromkeys(num_examples, 1.0)
    if text == "proportional":
        return {name: float(count) for name, count in num_examples.items()}
    if re.match(r"(temperature|capped)(:|$)", text):
        return _parse_by_size(text, num_examples)
    if ":" in text:
        return _parse_weights(text, num_examples)
    raise ValueError(
        "The mixing must be 'proportional', 'equal', 'temperature:T', 'capped:N', "
        "'adaptive', weights 'problem:weight,...', or a schedule 'step @0 "
        f"problem=weight ... @STEP ...'; got '{text}'."
    )


def _parse_by_size(text: str, num_examples: Mapping[str, int]) -> Rates:
    settings = {"temperature": 1.0, "capped": float("inf")}
    for item in text.split(","):
        word, _, number = (part.strip() for part in item.partition(":"))
        if word not in settings:
            raise ValueError(
                "The mixing 'temperature:T,capped:N' has no other parts; got "
                f"'{word}' in '{text}'."
            )
        settings[word] = _positive(number, text)
    power, most = 1.0 / settings["temperature"], settings["capped"]
    return {name: min(count, most) ** power for name, count in num_examples.items()}


def _positive(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise ValueError(f"The mixing needs a number above 0; got '{text}'.")
    return value


def _parse_weights(text: str, num_examples: Mapping[str, int]) -> Rates:
    weights: Rates = {}
    for item in text.split(","):
        name, _, number = (part.strip() for part in item.partition(":"))
        if name in weights:
            raise ValueError(f"The mixing names '{name}' twice: '{text}'.")
        weights[name] = _positive(number, text)
    if weights.keys() != num_examples.keys():
        raise ValueError(
            "Mixing by weights must name each problem of the run once. The run has "
            f"{sorted(num_examples)}; the weights are for {sorted(weights)}."
        )
    return {name: weights[name] for name in num_examples}


def _parse_points(
    schedule: str, text: str, problems: Iterable[str]
) -> list[tuple[int, Rates]]:
    start, *items = schedule.split("@")
    points = [_parse_point(item, text, problems) for item in items]
    steps = [step for step, _ in points]
    if start.strip() or steps[:1] != [0] or steps != sorted(set(steps)):
        raise ValueError(
            "A mixing schedule must read 'step @0 problem=weight ... @STEP ...' or "
            f"'linear @0 ...', with rising steps from 0; got '{text}'."
        )
    drawn = {name for _, weights in points for name, w in weights.items() if w > 0}
    if never := sorted(set(problems) - drawn):
        raise ValueError(
            f"The mixing '{text}' never draws {', '.join(never)}: name each problem of "
            "the run at some step, or leave it out of --problems."
        )
    return points


def _parse_point(item: str, text: str, problems: Iterable[str]) -> tuple[int, Rates]:
    step, *pairs = item.split() or [""]
    weights = dict.fromkeys(problems, 0.0)
    for pair in pairs:
        name, _, number = pair.partition("=")
        check_problem(name, _FIELD, problems)
        weights[name] = config_fields.parse_number(_FIELD, number, text)
    if not step.isdecimal() or not sum(weights.values()):
        raise ValueError(
            "A part of a mixing schedule must read '@STEP problem=weight ...', with a "
            f"weight above 0; got '@{item.strip()}' in '{text}'."
        )
    return int(step), weights


def restrict(text: str, problems: Iterable[str]) -> str:
    """Returns a mixing without what it says of other problems.

    A schedule that does not draw any of `problems` at some step becomes "equal".
    """
    names = set(problems)
    if text.partition(" ")[0] in ("step", "linear"):
        pairs = re.findall(r"(\S+)=(\S+)", text)
        others = [f"{name}={weight}" for name, weight in pairs if name not in names]
        words = [word for word in text.split(" ") if word not in others]
        shares = [re.findall(r"=(\S+)", p) for p in " ".join(words).split("@")[1:]]
        is_drawn = all(any(map(float, weights)) for weights in shares)
        return " ".join(words) if is_drawn else "equal"
    if ":" not in text or re.match(r"(temperature|capped|adaptive):", text):
        return text
    items = [item.strip() for item in text.split(",")]
    return ",".join(item for item in items if item.rpartition(":")[0] in names)


def check_problem(name: str, field: str, problems: Iterable[str]) -> None:
    """Raises `ValueError` unless `name`, in the value of a field, is of a problem."""
    problems = sorted(problems)
    if name not in problems:
        close = difflib.get_close_matches(name, problems, 1, 0.4)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        raise ValueError(
            f"`{field}` must name problems of the run; got '{name}'. {hint}The run has "
            f"{', '.join(problems)}."
        )


def by_problem(
    field: str, text: str, problems: Iterable[str], default: float
) -> dict[str, float]:
    """Returns a number for every problem.

    Args:
      field: hparam that `text` is the value of, for messages.
      text: "problem:number,...".
      problems: of the run.
      default: for problems that `text` does not name.

    Raises:
      ValueError: if `text` does not read so, or names other problems.
    """
    numbers = dict(config_fields.parse_pairs(field, text))
    for name in numbers:
        check_problem(name, field, problems)
    return {name: numbers.get(name, default) for name in problems}


class MixingSchedule:
    """Draws the problems of every step."""

    def __init__(
        self, mixing: Mixing, seed: int, *, problems_per_update: int = 1
    ) -> None:
        """Creates a schedule.

        Args:
          mixing: rates of the problems.
          seed: seeds the draws.
          problems_per_update: how many to draw for each step.
        """
        self.mixing = mixing
        self._seed = seed
        self._count = problems_per_update

    def problems_at(
        self, step: int, losses_left: Mapping[str, float] | None = None
    ) -> list[str]:
        """Returns the names of the problems that train at `step` (0, 1, ...).

        Several are drawn by points at equal distances from a random start, so a problem
        comes as often as its rate says, rounded up or down.

        Args:
          step: number of updates before it.
          losses_left: by problem, see `Mixing.rates_at`.
        """
        rates = self.mixing.rates_at(step, losses_left)
        bounds = np.cumsum([rates[name] for name in self.mixing.names])
        generator = np.random.Generator(
            np.random.Philox(key=[self._seed, _STREAM], counter=[step, 0, 0, 0])
        )
        starts = (generator.random() + np.arange(self._count) / self._count) % 1.0
        positions = np.searchsorted(bounds, starts * bounds[-1], side="right")
        return [self.mixing.names[position] for position in positions]
