"""How many programs training compiles."""

from collections.abc import Mapping

from absl import logging

from t2t_mm import model
from t2t_mm.data import pipeline

MOST = 64  # before a warning


def log(
    net: model.Model,
    batches: Mapping[str, pipeline.TrainBatches],
    *,
    has_shapes: bool,
    at_start: bool = False,
) -> None:
    """Says how many programs training compiles, and warns of too many.

    Args:
      net: the model; some of its problems share their graphs.
      batches: by problem.
      has_shapes: whether each shape of batches is a program of its own.
      at_start: whether all are traced before the first step.
    """
    programs = {
        (net.graph_key(name), shape if has_shapes else None)
        for name, entry in batches.items()
        for shape in entry.shapes()
    }
    logging.info(
        "programs | %d for %d problems%s, %s",
        len(programs),
        len(batches),
        " and the shapes of their batches" if has_shapes else "",
        "all traced before the first step, for the loop of `steps_per_loop`"
        if at_start
        else "each compiled when it is first met",
    )
    if len(programs) > MOST:
        logging.warning(
            "%d programs take long to compile and much memory. Fewer: lower "
            "`max_buckets` (%d), or train with --nojit_compile, which needs one for "
            "each kind of problem.",
            len(programs),
            net.hparams.max_buckets,
        )
