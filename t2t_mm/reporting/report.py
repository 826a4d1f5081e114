"""From the folder of a run to the folder of its report.

index.html           metrics, samples and all pictures
overview.png         learning curves of all problems
curves/PROBLEM.png   those of one
experts.png          load of the experts by task
samples/...png       inputs that are pictures or sound
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm import model as model_lib
from t2t_mm import registry
from t2t_mm.decoding import decoded_predictions, loading
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.reporting import curves, experts, page, samples
from t2t_mm.runs import run_folder
from t2t_mm.training import history

PAGE_FILE = "index.html"
OVERVIEW_FILE = "overview.png"
EXPERTS_FILE = "experts.png"
CURVES_FOLDER = "curves"


def write(
    *,
    output_dir: str,
    data_dir: str,
    report_dir: str,
    problem_names: Sequence[str],
    selection: samples.Selection,
) -> str:
    """Writes a report and returns the path of its page.

    Args:
      output_dir: folder of the run.
      data_dir: folder of the records.
      report_dir: folder of the report; made if need be.
      problem_names: problems of the run.
      selection: which samples of each.

    Raises:
      FileNotFoundError: if there is no run, no checkpoint or no data.
    """
    description = run_folder.read(output_dir)
    model, checkpoint = loading.load(output_dir)
    rows = history.read(output_dir)
    recorded = curves.latest_rows(rows)
    latest = {name: recorded[name] for name in problem_names if name in recorded}
    os.makedirs(report_dir, exist_ok=True)
    charts = _draw_curves(rows, problem_names, report_dir)
    folders = dict(data_dir=data_dir, vocab_dir=output_dir, report_dir=report_dir)
    content = page.Page(
        title=f"{description.model}, {description.hparams_set}",
        checkpoint=os.path.basename(checkpoint),
        split=str(selection.split),
        latest=latest,
        samples={
            name: _collect(model, name, selection, **folders) for name in problem_names
        },
        overview=OVERVIEW_FILE if charts else None,
        charts=charts,
        experts=_draw_experts(latest, problem_names, report_dir),
        settings=dataclasses.asdict(description.hparams),
    )
    return _write_page(content, report_dir)


def _collect(
    model: model_lib.Model,
    name: str,
    selection: samples.Selection,
    **folders: str,
) -> samples.ProblemSamples:
    problem = registry.problem(name)
    decoder = decoder_lib.Decoder(
        model,
        problem,
        config=decoded_predictions.scoring_config(problem, DecodeConfig()),
        vocab_dir=folders["vocab_dir"],
    )
    result = samples.collect(decoder, selection, **folders)
    for score, value in result.scores.items():
        logging.info("report | %s | %s %s", name, score, value)
    return result


def _write_page(content: page.Page, report_dir: str) -> str:
    path = os.path.join(report_dir, PAGE_FILE)
    with open(path, "w", encoding="utf-8") as file:
        file.write(page.render(content))
    return path


def _draw_curves(
    rows: curves.Rows, problem_names: Sequence[str], report_dir: str
) -> dict[str, str]:
    """Returns the paths of the curves of each problem; none without a history."""
    if not rows:
        return {}
    os.makedirs(os.path.join(report_dir, CURVES_FOLDER), exist_ok=True)
    paths = {name: f"{CURVES_FOLDER}/{name}.png" for name in problem_names}
    for name, path in paths.items():
        curves.draw_problem(rows, name, os.path.join(report_dir, path))
    overview = os.path.join(report_dir, OVERVIEW_FILE)
    curves.draw_overview(rows, problem_names, overview)
    return paths


def _draw_experts(
    latest: Mapping[str, Mapping[str, Any]],
    problem_names: Sequence[str],
    report_dir: str,
) -> str | None:
    """Returns the path of the heat map; None if no layer has experts."""
    loads = experts.read_loads(latest)
    if not loads:
        return None
    experts.draw(loads, problem_names, os.path.join(report_dir, EXPERTS_FILE))
    return EXPERTS_FILE
