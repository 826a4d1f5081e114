"""Running programs of others on one sample."""

import subprocess
from collections.abc import Sequence

MAX_SECONDS = 120


def run(command: Sequence[str], max_seconds: float = MAX_SECONDS) -> bytes:
    """Returns what a program writes to standard output.

    Args:
      command: the program and its arguments.
      max_seconds: it is ended after so long.

    Raises:
      FileNotFoundError: if there is no such program.
      ValueError: if it fails, with the first line that it complains in.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=max_seconds,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"it takes more than {max_seconds:g} seconds") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(lines[0] if lines else f"it ends with {done.returncode}")
    return done.stdout
