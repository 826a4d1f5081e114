"""Which experts the tasks of a run use."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import axes as axes_lib

from t2t_mm.reporting import curves
from t2t_mm.training import evaluation, expert_summary

Loads = dict[str, dict[str, list[float]]]  # shares by layer and problem

_MOST_NUMBERED_EXPERTS = 16  # beyond it the cells are too small for numbers
_DARK = 0.6  # of the largest share: numbers turn white from there on


def read_loads(latest: Mapping[str, Mapping[str, Any]]) -> Loads:
    """Returns the share of positions that went to each expert, by layer and problem.

    Args:
      latest: last evaluation by problem.
    """
    loads: Loads = {}
    for problem, row in latest.items():
        for layer, shares in row.get(evaluation.EXPERT_LOAD, {}).items():
            loads.setdefault(layer, {})[problem] = shares
    return dict(sorted(loads.items(), reverse=True))  # the encoder comes first


def draw(loads: Loads, problems: Sequence[str], path: str) -> None:
    """Draws one heat map per layer: a row per problem, a column per expert.

    Problems that do not pass through a layer have an empty row.

    Args:
      loads: at least one layer.
      problems: names, in the order of the rows.
      path: of the PNG file.
    """
    columns = max(len(s) for layer in loads.values() for s in layer.values())
    width = 2.5 + max(0.55 * min(columns, _MOST_NUMBERED_EXPERTS), 3.5)
    figure = curves.new_figure(width * len(loads), 1.6 + 0.4 * len(problems))
    panels = figure.subplots(1, len(loads), squeeze=False, sharey=True).flat
    for axes, (layer, by_problem) in zip(panels, loads.items(), strict=True):
        shares = to_matrix(by_problem, problems)
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, aspect="auto")
        information = expert_summary.mutual_information(by_problem)
        most = math.log(len(by_problem))
        axes.set_title(
            f"{layer}: an expert says\n{information:.2f} of {most:.2f} nats of the task"
        )
        axes.set_xlabel("expert")
        axes.set_xticks(np.arange(0, shares.shape[1], 1 + shares.shape[1] // 17))
        axes.set_yticks(np.arange(len(problems)), problems)
        axes.set_facecolor("#eeeeee")
        _write_numbers(axes, shares)
        figure.colorbar(image, ax=axes, label="share of positions")
    curves.save(figure, path)


def to_matrix(
    by_problem: Mapping[str, Sequence[float]], problems: Sequence[str]
) -> np.ndarray:
    """Returns shares `[problems, experts]`, NaN for problems that are not there."""
    num_experts = max(map(len, by_problem.values()))
    missing = [np.nan] * num_experts
    return np.array([by_problem.get(problem, missing) for problem in problems])


def _write_numbers(axes: axes_lib.Axes, shares: np.ndarray) -> None:
    if shares.shape[1] > _MOST_NUMBERED_EXPERTS:
        return
    largest = np.nanmax(shares)
    for (row, column), share in np.ndenumerate(shares):
        if np.isfinite(share):
            color = "white" if share > _DARK * largest else "black"
            text = f"{100 * share:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=color, size=8)
