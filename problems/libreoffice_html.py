"""The sentences of LibreOffice's help pages, aligned in three languages.

A text has the same page and the same id in every language.
"""

import collections
import functools
import html
import pathlib
import re
from typing import NamedTuple

LANGUAGE_FOLDERS = {"en": "en-US", "de": "de", "fr": "fr"}

# A program writes the pages from XML: tags are closed, and texts do not nest.
_TEXT = re.compile(
    r'<(p|h[1-6]|td|dt|li)\b[^>]*?\sid="(?P<id>[^"]+)"[^>]*>(?P<markup>.*?)</\1>',
    re.DOTALL,
)
_SPAN = re.compile(r"(<span\b[^>]*>|</span>)")
_LINE_BREAK = re.compile(r"<br\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")
_SENTENCE_BREAK = re.compile(r"(?<=[.!?]) (?=[A-ZÀ-ÖØ-Þ])")

Sentence = dict[str, str]  # by language


class Place(NamedTuple):
    """Where a text stands, in any language.

    Attributes:
      page: path of the page below the folder of the language.
      id: id of the element.
      nth: how many elements before it on the page have the same id.
    """

    page: str
    id: str
    nth: int


@functools.lru_cache(maxsize=1)  # seven problems and vocabularies in one go
def read_sentences(help_folder: str) -> tuple[Sentence, ...]:
    """Returns the sentences that all languages have, in the order of the pages."""
    pages = {
        language: read_pages(pathlib.Path(help_folder, folder, "text"))
        for language, folder in LANGUAGE_FOLDERS.items()
    }
    sentences: list[Sentence] = []
    for place in pages["en"]:
        if all(place in texts for texts in pages.values()):
            text = {language: texts[place] for language, texts in pages.items()}
            sentences.extend(split_text(text))
    return tuple(sentences)


def split_text(text: Sentence) -> list[Sentence]:
    """Splits a text into sentences, if it has as many of them in every language."""
    parts = [_SENTENCE_BREAK.split(text[language]) for language in text]
    if len({len(part) for part in parts}) > 1:
        return [text]
    rows = zip(*parts, strict=True)
    return [dict(zip(text, row, strict=True)) for row in rows]


def read_pages(folder: pathlib.Path) -> dict[Place, str]:
    """Returns the texts of all pages below the folder of a language.

    Raises:
      ValueError: for a page that is not UTF-8.
    """
    texts = {}
    for path in sorted(folder.rglob("*.html")):
        page = path.relative_to(folder).as_posix()
        try:
            markup = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"'{path}' must be UTF-8: {error}.") from None
        for (text_id, nth), text in read_texts(markup).items():
            texts[Place(page, text_id, nth)] = text
    return texts


def read_texts(markup: str) -> dict[tuple[str, int], str]:
    """Returns the texts of one page by id and `Place.nth`."""
    counts: collections.Counter[str] = collections.Counter()
    texts = {}
    for match in _TEXT.finditer(markup):
        text_id = match["id"]
        texts[text_id, counts[text_id]] = plain_text(match["markup"])
        counts[text_id] += 1
    return texts


def plain_text(markup: str) -> str:
    """Returns what a reader sees of a text, on one line."""
    if "hidden=" in markup:
        markup = _choose_alternatives(markup)
    text = _TAG.sub("", _LINE_BREAK.sub(" ", markup))
    return " ".join(html.unescape(text).split())


def _choose_alternatives(markup: str) -> str:
    """Keeps one alternative of every switch: the default, else the first.

    A switch is a span that holds one hidden span for each system or application, such
    as Command for MAC and Ctrl as default; a script in the page shows one of them.
    """
    open_spans = [_Span("")]
    for piece in _SPAN.split(markup):
        if piece.startswith("<span"):
            open_spans.append(_Span(piece))
        elif piece != "</span>":
            open_spans[-1].content += piece
        elif len(open_spans) > 1:
            closed = open_spans.pop()
            closed.close_into(open_spans[-1])
    return "".join(span.content for span in open_spans)


class _Span:
    """A span that is being read: its markup, and the alternatives if it is a switch."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.content = ""
        self.alternative: str | None = None

    def close_into(self, parent: "_Span") -> None:
        """Adds the span to the span around it."""
        content = self.content + (self.alternative or "")
        if "hidden=" not in self.tag:
            parent.content += content
        elif parent.alternative is None or 'id="default' in self.tag:
            parent.alternative = content
