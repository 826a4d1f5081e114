"""Sentences spoken by flite, a small speech synthesiser (an external program)."""

import pathlib
import shutil
import tempfile
from typing import NamedTuple

from t2t_mm.data import programs

PROGRAM = "flite"


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
        command = [PROGRAM, "-voice", utterance.voice, "-t", utterance.text]
        try:
            programs.run([*command, "-o", str(path)])
            if not path.exists():
                raise ValueError("it wrote no sound")
        except ValueError as error:
            raise ValueError(
                f"{PROGRAM} cannot say '{utterance.text}' in the voice "
                f"'{utterance.voice}': {error}."
            ) from None
        return path.read_bytes()
