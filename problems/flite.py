"""Sentences spoken by flite, a small speech synthesiser (an external program)."""

import pathlib
import shutil
import subprocess
import tempfile
from typing import NamedTuple

PROGRAM = "flite"
MAX_SECONDS_OF_SPEAKING = 60


class Utterance(NamedTuple):
    """What is to be said, and the voice that says it, such as "slt"."""

    text: str
    voice: str


def check_installed() -> None:
    """Fails early and clearly where there is no flite.

    Raises:
      FileNotFoundError: if it is not on the PATH.
    """
    if shutil.which(PROGRAM) is None:
        raise FileNotFoundError(
            f"The program '{PROGRAM}', which speaks the sentences, is not on the PATH. "
            "On Debian and Ubuntu: apt-get install flite"
        )


def speak(utterance: Utterance) -> bytes:
    """Returns an utterance as the content of a WAV file, always the same.

    Raises:
      FileNotFoundError: if flite is not installed.
      ValueError: if it fails.
    """
    check_installed()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "speech.wav")
        run = subprocess.run(
            [PROGRAM, "-voice", utterance.voice, "-t", utterance.text, "-o", str(path)],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=MAX_SECONDS_OF_SPEAKING,
        )
        if run.returncode or not path.exists():
            message = run.stderr.decode(errors="replace").strip()
            raise ValueError(
                f"{PROGRAM} cannot say '{utterance.text}' in the voice "
                f"'{utterance.voice}': {message or 'it wrote no sound'}."
            )
        return path.read_bytes()
