"""Our Transformer beside what users pick today: PyTorch and Hugging Face transformers.

    python -m venv /tmp/torch && /tmp/torch/bin/pip install torch transformers
    python -m benchmarks.pytorch_marian --torch_python=/tmp/torch/bin/python

Marian's architecture with random weights against `transformer_tiny` and
`transformer_base` at the same sizes, dropout, clipping and optimizer (Adam), on one
random batch without padding, 16 x 32 to 16 x 32 ids: a training step, greedy search and
beams of 4, outputs always 32 ids long. Each side is a process; they take turns. The
first step is timed from the start of the process, imports included.

Of eight batches, ours decodes several at the same time, as t2t-decoder does; PyTorch
takes one after the other with all threads, as a loop over `generate` does, and, in rows
of their own, two at a time in threads that have one core each.
"""

import argparse
import json
import sys
from typing import Any

from benchmarks import measure, turns
from t2t_mm import hparam, registry

BATCH, LENGTH = 16, 32
SIZES = {
    "tiny": {"hparams_set": "transformer_tiny", "vocab_size": 8192},
    "base": {"hparams_set": "transformer_base", "vocab_size": 32768},
}
BATCHES = 8
# What is done, and how many ids that decodes.
WORKS = {
    "training step": 0,
    "greedy": BATCH * LENGTH,
    "beam 4": BATCH * LENGTH,
    "greedy, batches": BATCHES * BATCH * LENGTH,
    "beam 4, batches": BATCHES * BATCH * LENGTH,
    "greedy, batches, both in threads": BATCHES * BATCH * LENGTH,
    "beam 4, batches, both in threads": BATCHES * BATCH * LENGTH,
}


def size_of(name: str, overrides: str) -> dict[str, Any]:
    """Returns what both sides need to know to build a model."""
    registry.import_registrations()
    hparams: Any = hparam.resolve(SIZES[name]["hparams_set"], overrides=overrides)
    same = ("hidden_size", "filter_size", "dropout", "attention_dropout")
    return {
        **SIZES[name],
        **{field: getattr(hparams, field) for field in same},
        "relu_dropout": hparams.relu_dropout,
        "clip_grad_norm": hparams.clip_grad_norm,
        "layers": hparams.num_hidden_layers,
        "heads": hparams.num_heads,
        "hparams": overrides,
        "batch": BATCH,
        "length": LENGTH,
        "batches": BATCHES,
    }


def compare(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Returns the rows of one size."""
    size = json.dumps(size_of(name, arguments.hparams))
    with (
        turns.Side(
            [arguments.torch_python, "-m", "benchmarks.marian_torch", size], "torch"
        ) as torch,
        turns.Side(
            [sys.executable, "-m", "benchmarks.marian_ours", size], "ours"
        ) as us,
    ):
        sides = {"torch": torch, "ours": us}
        rows = [_facts_row(name, sides)]
        for work in WORKS:
            timings = turns.in_turns(sides, work, repeats=arguments.repeats)
            rows.append(_row(name, work, timings))
    return rows


def _facts_row(name: str, sides: dict[str, turns.Side]) -> dict[str, Any]:
    first = {side: s.facts["first_step_seconds"] for side, s in sides.items()}
    return {
        "size": name,
        "what": "first step",
        "torch_ms": round(1e3 * first["torch"]),
        "ours_ms": round(1e3 * first["ours"]),
        "times_faster": measure.rounded(first["torch"] / first["ours"]),
        "torch_parameters": sides["torch"].facts["parameters"],
        "ours_parameters": sides["ours"].facts["parameters"],
    }


def _row(name: str, work: str, timings: dict[str, measure.Timing]) -> dict[str, Any]:
    row: dict[str, Any] = {"size": name, "what": work}
    for side, timing in timings.items():
        row[f"{side}_ms"] = measure.rounded(1e3 * timing.median)
    row["times_faster"] = measure.rounded(
        measure.times_faster(timings["ours"], timings["torch"])
    )
    for side, timing in timings.items():
        row[f"{side}_spread_percent"] = measure.rounded(100 * timing.spread)
        if WORKS[work]:
            row[f"{side}_tokens_per_second"] = round(WORKS[work] / timing.median)
    return row


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--torch_python", required=True, help="with torch, transformers"
    )
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--hparams", default="", help="overrides of ours and, so, both")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sizes.split(","):
        rows += compare(name, arguments)
    measure.report(rows, batch=BATCH, length=LENGTH, repeats=arguments.repeats)


if __name__ == "__main__":
    main()
