"""Text to ids and back.

Every encoder is lossless: `decode(encode(text)) == text` for any Unicode text. Ids 0
(padding) and 1 (end of sequence) never stand for text; `encode` adds neither, and
`decode` drops the first and stops at the second.
"""

import abc
import functools
import hashlib
import io
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sentencepiece
from absl import logging

from t2t_mm.features import EOS_ID, PAD_ID

UNK_ID = 2
NUM_RESERVED_IDS = 2
NUM_BYTES = 256

# SentencePiece writes a space as U+2581, so that character itself must be escaped.
_SPACE_SYMBOL = "\u2581"
_ESCAPE = "\u001a"  # the control character "substitute": next to never in a text
_ESCAPES = {_ESCAPE: _ESCAPE + "0", _SPACE_SYMBOL: _ESCAPE + "1"}
_UNESCAPES = {escaped: character for character, escaped in _ESCAPES.items()}
_TO_ESCAPE = re.compile(f"[{_ESCAPE}{_SPACE_SYMBOL}]")
_TO_UNESCAPE = re.compile(f"{_ESCAPE}[01]")
# Together they bound the memory: a text without spaces is one long word.
_MAX_REMEMBERED_WORDS = 2**18
_LONGEST_REMEMBERED_WORD = 32  # characters
# Shows whether a vocabulary changes spaces or letters, or has subwords across a space.
_PROBE = "  a \ufb01  \u00a0\tA\u030a b "
_MAX_TRAINING_LINE = 4000  # characters; longer lines are cut to train, never to encode
_TRAINER_OPTIONS: dict[str, Any] = {
    "model_type": "bpe",
    "hard_vocab_limit": False,  # fewer ids from a small corpus instead of an error
    "byte_fallback": True,
    "split_digits": True,
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "max_sentence_length": 8 * _MAX_TRAINING_LINE,  # bytes
    "pad_id": PAD_ID,
    "eos_id": EOS_ID,
    "unk_id": UNK_ID,
    "bos_id": -1,
    "num_threads": 1,  # it is stored in the file, which must not vary
    "minloglevel": 2,
}


class TextEncoder(abc.ABC):
    """A map between texts and lists of ids."""

    @property
    @abc.abstractmethod
    def vocab_size(self) -> int:
        """Number of ids, reserved ones included."""

    @property
    @abc.abstractmethod
    def sha256(self) -> str:
        """Fingerprint: encoders with the same one give the same ids."""

    @property
    @abc.abstractmethod
    def texts(self) -> list[str]:
        """What the ids stand for; "<pad>", "</s>" and "<0x0A>" stand for no letters."""

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without one that ends the sequence."""

    @abc.abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids up to the first end of sequence."""


def strip_reserved(ids: Iterable[int]) -> list[int]:
    """Returns the ids before the first end of sequence, without padding."""
    before_end = itertools.takewhile(lambda token_id: token_id != EOS_ID, map(int, ids))
    return [token_id for token_id in before_end if token_id != PAD_ID]


class ByteTextEncoder(TextEncoder):
    """UTF-8 bytes, each plus the two reserved ids."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, reserved ones included."""
        return NUM_BYTES + NUM_RESERVED_IDS

    @property
    def sha256(self) -> str:
        """Fingerprint: encoders with the same one give the same ids."""
        return hashlib.sha256(b"bytes").hexdigest()

    @property
    def texts(self) -> list[str]:
        """What the ids stand for: characters for those that ASCII prints."""
        names = [chr(b) if 32 <= b < 127 else f"<0x{b:02X}>" for b in range(NUM_BYTES)]
        return ["<pad>", "</s>", *names]

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without one that ends the sequence."""
        return [byte + NUM_RESERVED_IDS for byte in _to_utf8(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids; bytes that are not UTF-8 become U+FFFD."""
        content = bytes(token_id - NUM_RESERVED_IDS for token_id in strip_reserved(ids))
        return content.decode("utf-8", errors="replace")


class SubwordTextEncoder(TextEncoder):
    """SentencePiece byte-pair encoding with bytes for whatever it has not seen."""

    def __init__(self, model: bytes) -> None:
        """Loads a vocabulary from the bytes that `build_subwords` returned.

        Raises:
          ValueError: if the bytes are no such vocabulary.
        """
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(f"It is not a SentencePiece vocabulary: {error}") from None
        reserved = (self._processor.pad_id(), self._processor.eos_id())
        if reserved != (PAD_ID, EOS_ID):
            raise ValueError(
                f"A vocabulary must have padding and end of sequence at ids "
                f"({PAD_ID}, {EOS_ID}); this one has them at {reserved}."
            )
        self._sha256 = hashlib.sha256(model).hexdigest()
        self._first_words = _WordIds(self._processor.encode, "")
        self._other_words = _WordIds(self._processor.encode, " ")
        self._encodes_by_word = self._has_words_apart()

    def _has_words_apart(self) -> bool:
        """Returns whether a text's ids are those of its words, one after another.

        They are if no subword goes on after a space, and the text is taken as it is.
        """
        processor = self._processor
        pieces = map(processor.id_to_piece, range(processor.vocab_size()))
        return not any(
            _SPACE_SYMBOL in piece[1:] for piece in pieces
        ) and self._encode_words(_PROBE) == self._encode_whole(_PROBE)

    @property
    def vocab_size(self) -> int:
        """Number of ids, reserved ones included."""
        return self._processor.vocab_size()

    @property
    def sha256(self) -> str:
        """Fingerprint of the vocabulary file."""
        return self._sha256

    @property
    def texts(self) -> list[str]:
        """What the ids stand for, spaces included."""
        pieces = map(self._processor.id_to_piece, range(self.vocab_size))
        return [_unescape(piece.replace(_SPACE_SYMBOL, " ")) for piece in pieces]

    def encode(self, text: str) -> list[int]:
        """Returns the ids of a text, without one that ends the sequence.

        Words are remembered with their ids: text repeats itself, and looking a word up
        is many times faster than merging its letters again.
        """
        if self._encodes_by_word:
            return self._encode_words(text)
        return self._encode_whole(text)

    def _encode_words(self, text: str) -> list[int]:
        words = text.split(" ")
        ids = self._first_words[words[0]].copy()
        for word in words[1:]:
            ids += self._other_words[word]
        return ids

    def _encode_whole(self, text: str) -> list[int]:
        return self._processor.encode(_escape(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids; bytes that are not UTF-8 become U+FFFD."""
        text = self._processor.decode(strip_reserved(ids))
        # A space that the vocabulary has only as bytes comes back as its symbol.
        return _unescape(text.replace(_SPACE_SYMBOL, " "))


class _WordIds(dict[str, list[int]]):
    """The ids of words, found when first asked for."""

    def __init__(self, encode: Callable[[str], list[int]], prefix: str) -> None:
        super().__init__()
        self._encode = encode
        self._prefix = prefix

    def __missing__(self, word: str) -> list[int]:
        ids = self._encode(_escape(self._prefix + word))
        if len(word) <= _LONGEST_REMEMBERED_WORD and len(self) < _MAX_REMEMBERED_WORDS:
            self[word] = ids
        return ids


class ClassLabelEncoder(TextEncoder):
    """Names of classes; the id of a class is its place in the list."""

    def __init__(self, class_labels: Sequence[str]) -> None:
        """Keeps the names.

        Args:
          class_labels: names in the order of their ids.
        """
        self._class_labels = list(class_labels)

    @property
    def vocab_size(self) -> int:
        """Number of classes."""
        return len(self._class_labels)

    @property
    def sha256(self) -> str:
        """Fingerprint: encoders with the same one give the same ids."""
        return hashlib.sha256("\n".join(self._class_labels).encode()).hexdigest()

    @property
    def texts(self) -> list[str]:
        """Names of the classes."""
        return list(self._class_labels)

    def encode(self, text: str) -> list[int]:
        """Returns the id of the class named `text`.

        Raises:
          ValueError: if there is no such class.
        """
        if text not in self._class_labels:
            raise ValueError(
                f"There is no class '{text}'. There are: "
                f"{', '.join(self._class_labels)}."
            )
        return [self._class_labels.index(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the name of the first id."""
        return self._class_labels[int(next(iter(ids)))]


def build_subwords(
    texts: Iterable[str], approx_vocab_size: int, reserved_tokens: Sequence[str] = ()
) -> bytes:
    """Trains a subword vocabulary; the same texts give the same bytes.

    Args:
      texts: training texts; all are held in memory.
      approx_vocab_size: number of ids to aim at; a small corpus gives fewer.
      reserved_tokens: texts that get an id each, wherever they stand in a text.

    Returns:
      The content of a vocabulary file, for `SubwordTextEncoder`.

    Raises:
      ValueError: if there is no text, or `approx_vocab_size` has no room for the 259
        reserved ids and the common characters.
    """
    # A list: SentencePiece would turn an error of the iterator into one of its own.
    lines = list(_training_lines(texts))
    if not lines:
        raise ValueError("A vocabulary must be built from text; there was none.")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            vocab_size=approx_vocab_size,
            user_defined_symbols=[
                _escape(token).replace(" ", _SPACE_SYMBOL) for token in reserved_tokens
            ],
            **_TRAINER_OPTIONS,
        )
    except RuntimeError as error:
        raise ValueError(
            f"No vocabulary of {approx_vocab_size} ids could be built: bytes and "
            f"reserved ids take 259, and the common characters come on top. {error}"
        ) from None
    _log_if_small(model.getvalue(), approx_vocab_size)
    return model.getvalue()


def _log_if_small(model: bytes, approx_vocab_size: int) -> None:
    vocab_size = SubwordTextEncoder(model).vocab_size
    if vocab_size < approx_vocab_size:
        logging.info(
            "The text is too small for %d subwords: the vocabulary has %d.",
            approx_vocab_size,
            vocab_size,
        )


def _training_lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in _escape(text).split("\n"):
            for start in range(0, len(line), _MAX_TRAINING_LINE):
                yield line[start : start + _MAX_TRAINING_LINE]


def load_subword_encoder(path: str) -> SubwordTextEncoder:
    """Returns the encoder of a vocabulary file, read once as long as it is unchanged.

    Raises:
      FileNotFoundError: if there is no such file.
      ValueError: if it is not a vocabulary.
    """
    status = os.stat(path)
    return _load_subword_encoder(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _load_subword_encoder(path: str, mtime_ns: int, size: int) -> SubwordTextEncoder:
    with open(path, "rb") as file:
        return SubwordTextEncoder(file.read())


def _escape(text: str) -> str:
    if text.isascii() and _ESCAPE not in text:  # most words: quicker
        return text
    _to_utf8(text)
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], text)


def _unescape(text: str) -> str:
    return _TO_UNESCAPE.sub(lambda match: _UNESCAPES[match[0]], text)


def _to_utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"A text must be valid Unicode; character {error.start} is half of a "
            f"surrogate pair: {text[error.start]!a}."
        ) from None
