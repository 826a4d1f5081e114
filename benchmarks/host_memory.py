"""Whether a long run needs more and more memory of its host.

    python -m benchmarks.host_memory --data_dir=data [--problem=mini_ende] \
        [--steps=10000]

Trains the smallest model by the trainer's own loop, with everything that the loop does
but checkpoints and evaluation, and reads the resident memory and the number of traced
programs as it goes. Growth is that from the first tenth of the steps, when all shapes
of batches have been met, to the end. Exits with 1 if it is more than `--most_mib`, or
if anything was traced in between.
"""

import argparse
import os
import sys
import tempfile
from typing import Any

from absl import logging

from benchmarks import measure
from t2t_mm import hparam, registry

SMALLEST = (
    "hidden_size=8,num_heads=2,kernel_sizes=(3,3,3,3),dilation_rates=(1,1,1,1),"
    "num_encoder_blocks=1,encoder_moe_after=0,num_decoder_blocks=1,decoder_moe_after=0,"
    "moe_num_experts=2,moe_k=1,moe_filter_size=8,batch_size=64,batch_examples=2"
)
SAMPLES = 20  # of the memory, over the run


def resident_mib() -> float:
    """Returns the resident memory of this process in MiB."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def train(arguments: argparse.Namespace, folder: str) -> list[dict[str, Any]]:
    """Returns what there is after each of `SAMPLES` parts of the run."""
    from t2t_mm.training import experiment  # late: it imports TensorFlow
    from t2t_mm.training.run_config import RunConfig

    every = arguments.steps // SAMPLES
    config = RunConfig(
        train_steps=arguments.steps, eval_every_steps=0, log_every_steps=every
    )
    loop = experiment.build(
        model_name="multimodel",
        hparams_set="multimodel_tiny",
        hparams=hparam.resolve("multimodel_tiny", overrides=arguments.hparams),
        problem_names=arguments.problem.split(","),
        config=config,
        data_dir=arguments.data_dir,
        output_dir=folder,
    )
    rows = []
    while loop.state.step < arguments.steps:
        loop._train_until(loop.state.step + every)
        programs = loop._updates.compiled.values()
        rows.append(
            {
                "step": loop.state.step,
                "resident_mib": round(resident_mib(), 1),
                "traces": sum(p.experimental_get_tracing_count() for p in programs),
            }
        )
    return rows


def main() -> int:
    """Trains, prints and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--problem", default="mini_ende", help="with commas between")
    parser.add_argument("--hparams", default=SMALLEST)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--most_mib", type=float, default=16.0)
    arguments = parser.parse_args()
    logging.set_verbosity(logging.WARNING)
    registry.import_registrations()
    with tempfile.TemporaryDirectory() as folder:
        rows = train(arguments, folder)
    begin, end = rows[SAMPLES // 10 - 1], rows[-1]
    growth = end["resident_mib"] - begin["resident_mib"]
    per_step = 2**20 * growth / (end["step"] - begin["step"])
    measure.report(rows, growth_mib=round(growth, 1), bytes_per_step=round(per_step, 1))
    return int(growth > arguments.most_mib or begin["traces"] != end["traces"])


if __name__ == "__main__":
    sys.exit(main())
