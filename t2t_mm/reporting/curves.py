"""Pictures of the metrics of a run over its steps."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib import axes as axes_lib
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

from t2t_mm.features import Split

Rows = Sequence[Mapping[str, Any]]  # of a history

_LOSS = "loss"
_LOG_PERPLEXITY = "neg_log_perplexity"
_GREY = "#808080"
_DEV_LOSS_COLOR = "#000000"
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by everyone
_DOTS_PER_INCH = 100
_GRID_COLUMNS = 4


class Series(NamedTuple):
    """One value over the steps of a run.

    Attributes:
      steps: in order, each once.
      values: as many.
    """

    steps: list[int]
    values: list[float]


def read_series(rows: Rows, problem: str, split: Split, metric: str) -> Series:
    """Returns a metric of a problem; where a step was recorded twice, the later."""
    values = {
        row["step"]: float(row[metric])
        for row in rows
        if row["problem"] == problem and row["split"] == split and metric in row
    }
    steps = sorted(values)
    return Series(steps, [values[step] for step in steps])


def accuracies(rows: Rows, problem: str) -> list[str]:
    """Returns the names of a problem's dev metrics that lie between 0 and 1."""
    return _accuracy_names(row for row in rows if row["problem"] == problem)


def _accuracy_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    names = {n for row in rows if row["split"] == Split.EVAL for n in row}
    return sorted(name for name in names if name.startswith("accuracy"))


def other_metrics(rows: Rows, problem: str) -> list[str]:
    """Returns the names of the dev metrics of a problem that is not judged by ids."""
    return _other_names(row for row in rows if row["problem"] == problem)


def _other_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    names = {
        name
        for row in rows
        if row["split"] == Split.EVAL
        for name, value in row.items()
        if isinstance(value, float) and not name.startswith("accuracy")
    }
    return sorted(names - {_LOG_PERPLEXITY})


def _colors(rows: Rows) -> dict[str, str]:
    """Returns a colour for each metric, the same for all problems."""
    names = _accuracy_names(rows) + _other_names(rows)
    return dict(zip(names, itertools.cycle(_COLORS)))


def new_figure(width: float, height: float) -> figure_lib.Figure:
    """Returns an empty figure, `width` x `height` inches, that needs no display."""
    figure = figure_lib.Figure(figsize=(width, height), layout="constrained")
    backend_agg.FigureCanvasAgg(figure)
    return figure


def save(figure: figure_lib.Figure, path: str) -> None:
    """Writes a figure as PNG."""
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)


def draw_problem(rows: Rows, problem: str, path: str) -> None:
    """Draws losses and metrics of a problem side by side.

    Args:
      rows: of the history.
      problem: name of the problem.
      path: of the PNG file.
    """
    figure = new_figure(10, 3.6)
    figure.suptitle(problem)
    losses, shares = figure.subplots(1, 2)
    _draw_losses(losses, rows, problem)
    losses.sharex(shares)
    _draw_metrics(shares, rows, problem)
    _legend(losses)
    _legend(shares)
    save(figure, path)


def draw_overview(rows: Rows, problems: Sequence[str], path: str) -> None:
    """Draws one small panel per problem: metrics, and the training loss in grey.

    Args:
      rows: of the history.
      problems: names, in the order of the panels.
      path: of the PNG file.
    """
    columns = min(_GRID_COLUMNS, len(problems))
    lines = math.ceil(len(problems) / columns)
    figure = new_figure(max(6.0, 3.6 * columns), 2.8 * lines + 0.5)
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    labelled: dict[str, Any] = {}
    for number, (axes, problem) in enumerate(zip(grid, problems, strict=False)):
        _draw_metrics(axes, rows, problem)
        axes.set_title(problem, fontsize="medium")
        if number % columns:
            axes.set_ylabel("")
        twin = axes.twinx()
        _plot(twin, read_series(rows, problem, Split.TRAIN, _LOSS), "train loss", _GREY)
        twin.set_ylim(bottom=0)
        twin.tick_params(colors=_GREY, labelsize="small")
        for part in (axes, twin):
            handles, labels = part.get_legend_handles_labels()
            labelled.update(zip(labels, handles, strict=True))
    for axes in grid[len(problems) :]:
        axes.set_axis_off()
    if labelled:
        figure.legend(
            labelled.values(),
            labelled.keys(),
            loc="outside lower center",
            ncols=columns,
        )
    save(figure, path)


def _draw_losses(axes: axes_lib.Axes, rows: Rows, problem: str) -> None:
    _plot(axes, read_series(rows, problem, Split.TRAIN, _LOSS), "train loss", _GREY)
    log_perplexity = read_series(rows, problem, Split.EVAL, _LOG_PERPLEXITY)
    dev_loss = log_perplexity._replace(values=[-v for v in log_perplexity.values])
    _plot(axes, dev_loss, f"dev, -{_LOG_PERPLEXITY}", _DEV_LOSS_COLOR)
    axes.set_ylabel("loss per target")
    axes.set_ylim(bottom=0)


def _draw_metrics(axes: axes_lib.Axes, rows: Rows, problem: str) -> None:
    """Draws the accuracies, or whatever a problem without accuracies has."""
    shares, colors = accuracies(rows, problem), _colors(rows)
    names = shares or other_metrics(rows, problem)
    for name in names:
        series = read_series(rows, problem, Split.EVAL, name)
        _plot(axes, series, f"dev {name}", colors[name])
    if not names:
        _note(axes, "no evaluation yet")
    axes.set_xlabel("step")
    if shares or not names:
        axes.set_ylabel("share right")
        axes.set_ylim(-0.03, 1.03)
    axes.set_xlim(0, max((row["step"] for row in rows), default=1) * 1.02)
    axes.grid(alpha=0.3)


def _plot(axes: axes_lib.Axes, series: Series, label: str, color: str) -> None:
    if series.steps:
        # A lone point would be an invisible line.
        marker = "o" if len(series.steps) < 30 else ""
        axes.plot(
            *series,
            label=label,
            color=color,
            marker=marker,
            markersize=3,
            linewidth=1 if color == _GREY else 1.8,
        )
        axes.set_xlabel("step")


def _note(axes: axes_lib.Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", color=_GREY, transform=axes.transAxes)


def _legend(axes: axes_lib.Axes) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")


def latest_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Returns the last dev evaluation of each problem."""
    return {row["problem"]: row for row in rows if row["split"] == Split.EVAL}
