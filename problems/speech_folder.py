"""A user's own recordings and their transcripts."""

import csv
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import audio_problem
from t2t_mm.data import corpus as corpora
from t2t_mm.data.text_problem import VocabType
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import text_folders

# Tables that have all splits, or in a folder of its own one of them.
TABLES = ("transcripts.tsv", "transcripts.csv", "metadata.csv", "validated.tsv")
DELIMITERS = "|\t,"  # of a .csv, the first of them in the first line
# What the columns of files and texts are called where the first line has names.
FILE_COLUMNS = ("file", "file_name", "filename", "path", "audio", "wav")
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription")
SOUND_FOLDERS = ("", "wavs", "clips", "audio")
SOUND_ENDINGS = ("", ".wav", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".wv1")

_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@registry.register_problem("speech_folder")
class SpeechFolder(
    text_folders.FolderProblem[pathlib.Path], audio_problem.Audio2TextProblem
):
    """Speech to text: the user's own recordings."""

    vocab_type = VocabType.BYTE
    target_space = SpaceId.EN_CHR
    split_key: ClassVar[str] = "targets"
    corpus = corpora.Corpus(
        name="speech_folder",
        title="recordings of your own and their transcripts",
        obtain=(
            "put one recording per utterance into a folder, in any format that "
            "libsndfile reads, and write a table of what is said"
        ),
        layout=(
            f"{', '.join(TABLES)}: a file and its text per line, with a tab, a comma "
            "or | between them, and names of columns in the first line or not;\n"
            "as well as LJSpeech's (metadata.csv and wavs/) or Common Voice's "
            "(train.tsv, dev.tsv, test.tsv and clips/).\n"
            "With train.tsv, or a folder train/ that has a table, and the same for dev "
            "and test, these are the splits; if not, 5 % of all texts become dev and "
            "5 % test."
        ),
    )

    def find(self, path: str) -> Mapping[Split, pathlib.Path]:
        """Returns the table of each split; one of all splits counts as training."""
        root = pathlib.Path(path)
        if root.is_file():
            return {Split.TRAIN: root}
        tables = {
            split: find_table(root, words)
            for split, words in text_folders.SPLIT_WORDS.items()
        }
        if tables[Split.TRAIN] is None:
            tables = {Split.TRAIN: _first_file(root, TABLES)}
        return {split: table for split, table in tables.items() if table is not None}

    def read(self, source: pathlib.Path) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the utterances of a table."""
        for number, row in enumerate(read_rows(source), start=1):
            name = f"{source.name} row {number}"
            if len(row) != 2:
                yield problem.Rejected(name=name, reason="it is not a file and a text")
                continue
            file, text = (column.strip() for column in row)
            path = find_sound(source.parent, file)
            if path is None:
                yield problem.Rejected(name=file, reason="its sound file is missing")
            elif not text:
                yield problem.Rejected(name=file, reason="it has no text")
            elif _NOT_UTF8.search(text):
                yield problem.Rejected(name=file, reason="its text is not UTF-8")
            else:
                yield {"inputs": path, "targets": text, "name": file}


def find_table(root: pathlib.Path, words: Sequence[str]) -> pathlib.Path | None:
    """Returns the table of the split that is called by one of some words, if any."""
    names = [f"{word}{ending}" for word in words for ending in (".tsv", ".csv")]
    names += [f"{word}/{table}" for word in words for table in TABLES]
    return _first_file(root, names)


def _first_file(root: pathlib.Path, names: Sequence[str]) -> pathlib.Path | None:
    return next((root / name for name in names if (root / name).is_file()), None)


def find_sound(folder: pathlib.Path, file: str) -> pathlib.Path | None:
    """Returns the sound file that a table means, if it is there.

    Args:
      folder: where the table is.
      file: what it calls the file, with or without its ending and folder.
    """
    for ending in SOUND_ENDINGS:
        for parent in SOUND_FOLDERS:
            path = os.path.join(folder, parent, file + ending)
            if file and os.path.isfile(path):
                return pathlib.Path(path)
    return None


def read_rows(table: pathlib.Path) -> Iterator[list[str]]:
    """Yields the file and the text of each row of a table; other rows as they are.

    Blank lines are left out. Without names of columns, a row of two is a file and a
    text; where there are more, the text is the last of LJSpeech's columns (with the
    numbers as words), or the second one.
    """
    # Bytes that are not UTF-8 become lone surrogates.
    with open(
        table, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
    ) as file:
        first = file.readline().rstrip("\r\n")
        file.seek(0)
        known = DELIMITERS if table.suffix == ".csv" else "\t"
        delimiter = next((mark for mark in known if mark in first), "\t")
        rows = (
            _csv_rows(file, table)
            if delimiter == ","
            else (line.rstrip("\r\n").split(delimiter) for line in file)
        )
        columns = _named_columns(first.split(delimiter))
        if columns is not None:
            next(rows)
        text = -1 if delimiter == "|" else 1
        for row in rows:
            if not any(column.strip() for column in row):
                continue
            wanted = columns or (0, text)
            is_whole = len(row) > max(1, *wanted)
            yield [row[index] for index in wanted] if is_whole else row[:1]


def _csv_rows(file: Iterable[str], table: pathlib.Path) -> Iterator[list[str]]:
    rows = csv.reader(file)
    try:
        yield from rows
    except csv.Error as error:
        raise ValueError(
            f"'{table}' must be a table with commas; at line {rows.line_num}, {error}. "
            "Is there a quote that nothing closes?"
        ) from None


def _named_columns(names: Sequence[str]) -> tuple[int, int] | None:
    """Returns which columns have the file and the text if a first line says it."""
    plain = [name.strip().lower() for name in names]
    found = [
        next((plain.index(name) for name in known if name in plain), None)
        for known in (FILE_COLUMNS, TEXT_COLUMNS)
    ]
    return None if None in found else (found[0] or 0, found[1] or 0)
