"""Transcripts of the Wall Street Journal corpus: detailed orthographic (.dot) files."""

import re


class Punctuation:
    """What becomes of punctuation that a speaker said, such as ",COMMA"."""

    WORDS = "words"  # "comma", which is what can be heard
    MARKS = "marks"  # ","
    DROP = "drop"


_UTTERANCE = re.compile(r"(.*)\(([^\s()]+)\)\s*")
_NOISE = re.compile(r"\[[^\]]*\]")  # "[loud_breath]", "[<door_slam]", "[/phone_ring]"
_SAID_MARK = re.compile(r"([^\w\s<*]+)([A-Z][A-Z-]+)")
# These two marks begin words as well: 'EM, -OLD.
_AMBIGUOUS = {
    "'": re.compile(r".*QUOTE|APOSTROPHE"),
    "-": re.compile(r"HYPHEN|DASH|MINUS"),
}
_ALWAYS_WORDS = ("PERCENT", "POINT")  # "%PERCENT" is no punctuation
_PAUSES = (".", "..", "...", "~", "-", "--")
# Around or in words: <deleted but said>, *mispronounced*, !stressed, length:ened,
# (half) a word.
_MARKS_ON_WORDS = re.compile(r"[<>*!:()\"`~;,?{}]")


def parse(content: str) -> dict[str, str]:
    """Returns the texts of a .dot file, as they are, by utterance in small letters.

    A line is `text of it ,COMMA with marks [noise] (011c0201)`.
    """
    matches = map(_UTTERANCE.fullmatch, content.split("\n"))
    return {match[2].lower(): match[1].strip() for match in matches if match}


def normalize(text: str, punctuation: str = Punctuation.WORDS) -> str:
    """Returns what is said, in small letters.

    Noises go, and the marks that say how a word is pronounced. Words in <> stay: they
    were to be left out, but can be heard.

    Args:
      text: a line of a .dot file.
      punctuation: what becomes of punctuation that is said; see `Punctuation`.
    """
    words = _NOISE.sub(" ", text.replace("\\", "")).split()
    normal = " ".join(_normal(word, punctuation) for word in words)
    return " ".join(normal.split())


def _normal(word: str, punctuation: str) -> str:
    if word in _PAUSES:
        return ""
    said = _SAID_MARK.fullmatch(word)
    if said is not None and _is_mark(*said.groups()):
        mark, name = said.groups()
        if punctuation == Punctuation.WORDS or name in _ALWAYS_WORDS:
            return name.lower().replace("-", " ")
        return mark if punctuation == Punctuation.MARKS else ""
    return _MARKS_ON_WORDS.sub("", word).lower()


def _is_mark(mark: str, name: str) -> bool:
    known = _AMBIGUOUS.get(mark[0])
    return known is None or known.fullmatch(name) is not None
