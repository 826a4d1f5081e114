"""One trainer, or one search, at a time in an output folder.

The kernel keeps the lock and lets go of it when its holder ends, in whatever way. The
file stays; what it says about the holder counts while the lock is held. Who only reads
the folder, to evaluate or to decode, needs no lock.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from absl import logging

FILE = "trainer.lock"
_SECONDS_BETWEEN_LOOKS = 1.0


@contextlib.contextmanager
def held(output_dir: str) -> Iterator[None]:
    """Keeps other trainers out of a folder in a context; makes the folder.

    Raises:
      BlockingIOError: if another one is at work in it; names its process.
    """
    os.makedirs(output_dir, exist_ok=True)
    with open(os.path.join(output_dir, FILE), "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                f"'{output_dir}' must have one trainer or search at a time, and "
                f"{_holder(file)} is at work in it. Wait for it, stop it, or choose "
                "another --output_dir."
            ) from None
        except OSError as error:
            logging.warning(
                "The disk of '%s' knows no locks (%s): take care that no second "
                "trainer starts in it.",
                output_dir,
                error.strerror,
            )
        else:
            _sign(file)
        yield


def wait_until_free(
    output_dir: str, *, sleep: Callable[[float], object] = time.sleep
) -> None:
    """Returns when no trainer is at work in a folder; logs if there is a wait."""
    is_announced = False
    while True:
        try:
            with held(output_dir):
                return
        except BlockingIOError as error:
            if not is_announced:
                logging.info("waiting | %s", error)
            is_announced = True
        sleep(_SECONDS_BETWEEN_LOOKS)


def _sign(file: TextIO) -> None:
    """Writes who holds the lock."""
    file.truncate(0)
    json.dump({"process": os.getpid(), "host": socket.gethostname()}, file)
    file.flush()


def _holder(file: TextIO) -> str:
    """Returns who holds the lock, as far as it has said so."""
    file.seek(0)
    try:
        holder = json.load(file)
        return f"process {holder['process']} on {holder['host']}"
    except (KeyError, TypeError, ValueError):
        return "another process"
