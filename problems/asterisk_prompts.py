"""The spoken prompts of the Asterisk telephone system: one human voice, 8 kHz."""

import gzip
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from etils import epy

with epy.lazy_imports():
    import soundfile

MAX_SECONDS = 12.0
MIN_CHARACTERS_PER_SECOND = 2.0  # less is mostly silence, or says something else

# Their texts are not what is said.
WRONG_TEXTS = ("spy-iax2", "spy-h323")

_NOT_SPOKEN = re.compile(r"[\[(<]")  # "[ascending tones]", "(silence)"
_WORDS = {
    "*": " star ",
    "#": " pound ",
    "10": " ten ",
    "0": " zero ",
    "1": " one ",
    "2": " two ",
    "3": " three ",
    "4": " four ",
    "5": " five ",
    "6": " six ",
    "7": " seven ",
    "8": " eight ",
    "9": " nine ",
}
_TO_WORDS = re.compile("|".join(map(re.escape, _WORDS)))
_NOT_IN_TARGETS = re.compile(r"[^a-z' ]")


class Prompt(NamedTuple):
    """A prompt: its sound file, and its words in small letters."""

    path: pathlib.Path
    text: str


def read_prompts(texts_file: str, sounds_folder: str) -> Iterator[Prompt]:
    """Yields the prompts that are speech and short enough, in the order of the list.

    Args:
      texts_file: compressed list of lines `name: text`, with comments after ";".
      sounds_folder: has `name.wav`.
    """
    with gzip.open(texts_file, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            name, colon, text = line.strip().partition(":")
            text = text.strip()
            is_spoken = colon and not name.startswith(";") and name not in WRONG_TEXTS
            if not is_spoken or _NOT_SPOKEN.match(text):
                continue
            prompt = Prompt(pathlib.Path(sounds_folder, f"{name}.wav"), spoken(text))
            if prompt.path.exists() and _is_good(prompt):
                yield prompt


def spoken(text: str) -> str:
    """Returns a text as it is said: words in small letters, without punctuation."""
    words = _TO_WORDS.sub(lambda match: _WORDS[match[0]], text.lower())
    return " ".join(_NOT_IN_TARGETS.sub(" ", words).split())


def _is_good(prompt: Prompt) -> bool:
    info = soundfile.info(prompt.path)
    return (
        info.frames > 0
        and info.duration <= MAX_SECONDS
        and len(prompt.text) >= MIN_CHARACTERS_PER_SECOND * info.duration
    )
