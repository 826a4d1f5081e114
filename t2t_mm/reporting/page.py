"""The page of a report: plain HTML that refers to files beside it only."""

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

from t2t_mm.reporting import samples as samples_lib
from t2t_mm.training import evaluation

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em;
       padding: 0 1em; color: #222; }
h1, h2, h3 { line-height: 1.2; } h3 { margin-top: 2em; }
table { border-collapse: collapse; }
th, td { padding: .3em .8em; border-bottom: 1px solid #ddd; text-align: left;
         vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
img.chart { max-width: 100%; }
img.input { height: 112px; max-width: 28em; image-rendering: pixelated; }
td.input { max-width: 28em; }
.right { color: #00703c; } .wrong { color: #b3261e; }
pre { background: #f5f5f5; padding: .8em; overflow-x: auto; }
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that a page shows.

    Attributes:
      title: what the run is.
      checkpoint: which checkpoint the samples come from.
      split: name of the split that the samples come from.
      latest: last dev evaluation by problem, each with its `step`.
      samples: by problem, in the order of the page.
      overview: path of the overview of curves, or None.
      charts: paths of the curves by problem.
      experts: path of the heat map of the experts, or None.
      settings: hyperparameters by name.
    """

    title: str
    checkpoint: str
    split: str
    latest: Mapping[str, Mapping[str, Any]]
    samples: Mapping[str, samples_lib.ProblemSamples]
    overview: str | None
    charts: Mapping[str, str]
    experts: str | None
    settings: Mapping[str, Any]


def render(page: Page) -> str:
    """Returns a page as HTML; every text in it is escaped."""
    title = html.escape(page.title)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{title}</h1>",
        _links(list(page.samples)),
        *_metrics(page),
        *_experts(page),
        f"<h2>Samples of {html.escape(page.split)}</h2>",
        f"<p>Decoded greedily with {html.escape(page.checkpoint)}.</p>",
    ]
    for problem, samples in page.samples.items():
        parts += _problem(problem, samples, page.charts.get(problem))
    parts += [*_settings(page), "</body></html>"]
    return "\n".join(parts) + "\n"


def _links(problems: Sequence[str]) -> str:
    names = map(html.escape, problems)
    return "<p>" + " · ".join(f'<a href="#{n}">{n}</a>' for n in names) + "</p>"


def _metrics(page: Page) -> list[str]:
    parts = ["<h2>Last evaluation on dev</h2>"]
    if page.latest:
        parts += [
            metrics_table(page.latest),
            "<p>Metrics see the true previous targets; the samples below do not, nor "
            "do scores that are called decoded_.</p>",
        ]
    else:
        parts += ["<p>The run has not been evaluated yet.</p>"]
    if page.overview:
        parts += ["<h2>Learning curves</h2>", _chart(page.overview, "Learning curves")]
    return parts


def metrics_table(latest: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the last evaluation as a table: a row per problem."""
    names = dict.fromkeys(
        name
        for row in latest.values()
        for name, _ in evaluation.scalars(row)
        if name not in ("problem", "split")
    )
    columns = ["step", *sorted(names.keys() - {"step"})]
    head = "".join(f'<th class="number">{html.escape(c)}</th>' for c in columns)
    lines = [f"<table><tr><th>problem</th>{head}</tr>"]
    for problem, row in latest.items():
        cells = "".join(
            f'<td class="number">{_number(row.get(c))}</td>' for c in columns
        )
        lines.append(f"<tr><td>{html.escape(problem)}</td>{cells}</tr>")
    return "\n".join([*lines, "</table>"])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def _experts(page: Page) -> list[str]:
    if not page.experts:
        return []
    return [
        "<h2>Load of the experts</h2>",
        "<p>Percent of a task's positions that go to each expert, on dev. A grey row: "
        "the task does not pass through this layer.</p>",
        _chart(page.experts, "Load of the experts by task"),
    ]


def _problem(
    problem: str, samples: samples_lib.ProblemSamples, chart: str | None
) -> list[str]:
    parts = [f'<h3 id="{html.escape(problem)}">{html.escape(problem)}</h3>']
    if chart:
        parts.append(_chart(chart, f"Learning curves of {problem}"))
    scores = "; ".join(f"{name} {score}" for name, score in samples.scores.items())
    parts += [f"<p>{html.escape(scores)}</p>"]
    if samples.confusion:
        parts.append(_chart(samples.confusion, f"Which classes {problem} confuses"))
    parts.append(samples_table(samples.samples))
    return parts


def samples_table(samples: Sequence[samples_lib.Sample]) -> str:
    """Returns samples as a table: input, reference, output, right or wrong."""
    lines = ["<table><tr><th>input</th><th>reference</th><th>output</th><th></th></tr>"]
    for sample in samples:
        mark = {True: "right", False: "wrong", None: ""}[sample.is_right]
        lines.append(
            f'<tr><td class="input">{_input(sample)}</td>'
            f"<td>{html.escape(sample.reference)}</td>"
            f'<td class="{mark}">{html.escape(sample.output)}</td>'
            f'<td class="{mark}">{mark}</td></tr>'
        )
    return "\n".join([*lines, "</table>"])


def _input(sample: samples_lib.Sample) -> str:
    if sample.picture is None:
        return html.escape(sample.text)
    return f'<img class="input" src="{html.escape(sample.picture)}" alt="input">'


def _chart(path: str, description: str) -> str:
    return (
        f'<p><img class="chart" src="{html.escape(path)}" '
        f'alt="{html.escape(description)}"></p>'
    )


def _settings(page: Page) -> list[str]:
    lines = "\n".join(f"{name} = {value!r}" for name, value in page.settings.items())
    return [
        "<details><summary>Hyperparameters</summary>",
        f"<pre>{html.escape(lines)}</pre></details>",
    ]
