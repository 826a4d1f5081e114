"""Fails if a path that is there for its speed is not faster than the one it replaces.

    python -m benchmarks.guard [--only=experts]

Both paths of a pair run in turns in one process, so a busy machine slows both; what
counts is the median ratio, and floors lie far below what a quiet machine shows. A ratio
below its floor is measured once more, longer, before it counts. Exits with 1 if one
stays below, and names it.
"""

import argparse
import sys

from benchmarks import guard_pairs, measure

MORE = 3  # times as many repeats where a first try was too slow


def check(pair: guard_pairs.Pair) -> dict[str, str | float | bool]:
    """Returns the row of a pair."""
    ratio, tries = 0.0, 0
    for repeats in (pair.repeats, MORE * pair.repeats):
        timings = measure.in_turns(
            {"fast": pair.fast, "slow": pair.slow}, repeats=repeats
        )
        ratio, tries = measure.times_faster(timings["fast"], timings["slow"]), tries + 1
        if ratio >= pair.floor:
            break
    return {
        "pair": pair.name,
        "fast_ms": measure.rounded(1e3 * timings["fast"].median),
        "slow_ms": measure.rounded(1e3 * timings["slow"].median),
        "times_faster": measure.rounded(ratio),
        "floor": pair.floor,
        "tries": tries,
        "holds": ratio >= pair.floor,
    }


def main() -> int:
    """Measures, prints and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="part of the names of pairs")
    arguments = parser.parse_args()
    makers = [m for m in guard_pairs.MAKERS if arguments.only in m.__name__]
    if not makers:
        names = ", ".join(maker.__name__ for maker in guard_pairs.MAKERS)
        parser.error(f"--only must be part of one of {names}; got '{arguments.only}'.")
    rows = [check(make()) for make in makers]
    measure.report(rows)
    slow = [row for row in rows if not row["holds"]]
    for row in slow:
        sys.stderr.write(
            f"'{row['pair']}' must be at least {row['floor']} times faster; it is "
            f'{row["times_faster"]} times. See docs/performance.md, "What guards it".\n'
        )
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
