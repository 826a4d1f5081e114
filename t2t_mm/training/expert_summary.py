"""What the use of experts says about a run: sharing between tasks, in numbers."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

Loads = Mapping[str, Sequence[float]]  # share of positions per expert, by problem


def mutual_information(loads: Loads) -> float:
    """Returns how much an expert says about the task, in nats, tasks being equal.

    It is 0 if all tasks use the experts alike, and log(number of tasks) if no two
    tasks share one.

    Args:
      loads: by problem, the share of its positions that went to each expert.
    """
    given_task = np.array([shares for shares in loads.values()], np.float64)
    given_task = given_task[given_task.sum(1) > 0]
    if not len(given_task):
        return 0.0
    marginal = given_task.mean(0)
    used = given_task > 0
    ratio = np.where(used, given_task, 1.0) / np.where(used, marginal, 1.0)
    return float((given_task * np.log(ratio)).sum() / len(given_task))


def describe(loads: Loads, entropy: Mapping[str, float]) -> str:
    """Returns a line about one layer with experts.

    Args:
      loads: by problem, the share of its positions that went to each expert.
      entropy: by problem, mean entropy of the gate's distribution, in nats.
    """
    shares = np.mean([list(s) for s in loads.values()], axis=0)
    line = (
        f"busiest expert {shares.max() * len(shares):.2f} times the mean, "
        f"{np.sum(shares == 0)} of {len(shares)} idle; "
        f"gate entropy {np.mean(list(entropy.values())):.2f} of "
        f"{math.log(len(shares)):.2f} nats"
    )
    if len(loads) == 1:
        return line
    information, most = mutual_information(loads), math.log(len(loads))
    return f"{line}; an expert says {information:.3f} of {most:.3f} nats of the task"
