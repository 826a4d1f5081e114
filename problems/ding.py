"""Short English sentences out of Ding, the German-English dictionary of TU Chemnitz."""

import collections
import re
from collections.abc import Iterator

MIN_WORDS = 3
MAX_WORDS = 6

_NOTE = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)")
_PLAIN = re.compile(r"[A-Z][A-Za-z', ]+[.?!]")
_PLACEHOLDER = re.compile(r"\b(sb|sth|etw|jdm|jdn|jds)\b")
_NOT_A_LETTER = re.compile(r"[^a-z' ]")


def read_sentences(dictionary: str) -> Iterator[str]:
    """Yields the English of entries that are sentences in both languages.

    A line is `German | German :: English | English`, where alternatives come after ";"
    and notes stand in brackets.

    Args:
      dictionary: path of the file.
    """
    with open(dictionary, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("#") or "::" not in line:
                continue
            german, english = (
                [
                    _NOTE.sub("", entry.split(";")[0]).strip()
                    for entry in side.split("|")
                ]
                for side in line.split("::", 1)
            )
            if len(german) != len(english):
                continue
            for pair in zip(german, english, strict=True):
                if all(entry.endswith((".", "?", "!")) for entry in pair):
                    yield " ".join(pair[1].split())


def plain_sentences(dictionary: str) -> list[str]:
    """Returns sentences of a few plain words, each once, the commonest words first.

    A sentence is as common as its rarest word.
    """
    sentences: dict[str, str] = {}
    for sentence in read_sentences(dictionary):
        num_words = len(sentence.split())
        is_plain = _PLAIN.fullmatch(sentence) and not _PLACEHOLDER.search(sentence)
        if is_plain and MIN_WORDS <= num_words <= MAX_WORDS:
            sentences.setdefault(spoken(sentence), sentence)
    counts = collections.Counter(word for words in sentences for word in words.split())
    return [
        sentences[words]
        for words in sorted(
            sentences,
            key=lambda words: (-min(counts[word] for word in words.split()), words),
        )
    ]


def spoken(sentence: str) -> str:
    """Returns the words of a sentence in small letters, without punctuation."""
    return " ".join(_NOT_A_LETTER.sub(" ", sentence.lower()).split())
