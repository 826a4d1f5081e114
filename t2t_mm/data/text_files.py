"""Reading the text of real corpora, line by line, however large they are.

A text is a plain file, a .gz, or a member of a .tar or .tgz, which is read without
being unpacked. Lines end at line feeds only: U+2028, U+0085 and their like are found
inside sentences, and a reader that splits there shifts one side of a bitext against the
other. A carriage return before the end is dropped, and so is a byte-order mark.

What is no text is not passed over: a line that is not UTF-8, or longer than
`MAX_LINE_BYTES`, comes as a `problem.Rejected` that names the file and the line.
"""

import codecs
import contextlib
import dataclasses
import gzip
import html
import html.entities
import io
import itertools
import os
import re
import tarfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import IO

from t2t_mm import problem

MAX_LINE_BYTES = 2**16  # of a sentence or a document; longer lines are rejected
BUFFER_BYTES = 2**20

BLANKS = " \t\r"
GZIP_MAGIC = b"\x1f\x8b"
OTHER_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Sample = dict[str, str]

_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError)
# Files of newstest are not well-formed XML, so no parser of XML reads them all.
_SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg>", re.DOTALL | re.IGNORECASE)
_ENTITY = re.compile(r"&((?:#\d+|#x[0-9a-f]+|\w+);)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A text on disk, or in an archive on disk.

    Attributes:
      path: the file, which may be compressed, or the archive.
      member: name of the text in the archive, whatever folder it is in there; with or
        without ".gz".
      label: what messages call it; without one, its name without folder and ".gz".
    """

    path: str
    member: str | None = None
    label: str | None = None

    def __str__(self) -> str:
        """Returns what messages call it."""
        return f"'{self.path}'" + (f" ('{self.member}')" if self.member else "")

    @property
    def name(self) -> str:
        """The label, or the name of the text without its folder and ".gz"."""
        return self.label or os.path.basename(self.member or self.path).removesuffix(
            ".gz"
        )


def read_bitext(
    files: Sequence[TextFile], name: str
) -> Iterator[Sample | problem.Rejected]:
    """Yields the pairs of two parallel files, or of one table."""
    if len(files) == 1:
        return read_table(files[0], name)
    inputs, targets = files
    return read_pairs(inputs, targets, name)


def read_pairs(
    inputs: TextFile, targets: TextFile, name: str
) -> Iterator[Sample | problem.Rejected]:
    """Yields {"inputs", "targets", "name"} for each two lines of parallel files.

    Args:
      inputs: one side, lines or .sgm.
      targets: the other.
      name: what both are called together: the first is "name line 1".

    Raises:
      ValueError: if one side has more lines, after all pairs; blank lines at the end
        do not matter.
    """
    counts = [0, 0]
    surplus: tuple[str | problem.Rejected | None, ...] = ()
    sides = itertools.zip_longest(read_texts(inputs), read_texts(targets))
    for number, sides_of_line in enumerate(sides, 1):
        first, second = sides_of_line
        if first is None or second is None:
            if not _is_blank(first or second or ""):
                surplus = sides_of_line
        else:
            counts = [number, number]
            yield make_pair(first, second, f"{name} line {number}")
    if surplus:
        counts[surplus.index(None) ^ 1] = number
        raise ValueError(
            f"The two sides of {name} must have as many lines as each other; {inputs} "
            f"has {counts[0]} and {targets} {counts[1]}. Fetch both again, from one "
            "release of the corpus."
        )


def read_table(file: TextFile, name: str) -> Iterator[Sample | problem.Rejected]:
    """Yields {"inputs", "targets", "name"} for each line of two columns with a tab."""
    for number, line in enumerate(read_lines(file), 1):
        line_name = f"{name} line {number}"
        if isinstance(line, problem.Rejected) or _is_blank(line):
            yield make_pair(line, line, line_name)
        elif line.count("\t") != 1:
            reason = "not two columns with a tab between them"
            yield problem.Rejected(name=line_name, reason=reason)
        else:
            first, second = line.split("\t")
            yield make_pair(first, second, line_name)


def make_pair(
    inputs: str | problem.Rejected, targets: str | problem.Rejected, name: str
) -> Sample | problem.Rejected:
    """Returns a sample of two texts without the blanks around them."""
    if isinstance(inputs, problem.Rejected):
        return inputs
    if isinstance(targets, problem.Rejected):
        return targets
    if _is_blank(inputs) or _is_blank(targets):
        return problem.Rejected(name=name, reason="blank line", harmless=True)
    return {
        "inputs": inputs.strip(BLANKS),
        "targets": targets.strip(BLANKS),
        "name": name,
    }


def _is_blank(line: str | problem.Rejected) -> bool:
    return isinstance(line, str) and not line.strip()


def read_line_samples(file: TextFile) -> Iterator[Sample | problem.Rejected]:
    """Yields {"targets", "name"} for each line; only blanks at its end are dropped."""
    for number, line in enumerate(read_lines(file), 1):
        name = f"{file.name} line {number}"
        if isinstance(line, problem.Rejected):
            yield line
        elif _is_blank(line):
            yield problem.Rejected(name=name, reason="blank line", harmless=True)
        else:
            yield {"targets": line.rstrip(BLANKS), "name": name}


def read_paragraphs(file: TextFile) -> Iterator[Sample | problem.Rejected]:
    """Yields {"targets", "name"} for each run of lines between blank ones.

    The lines are joined by spaces. One that is no text does not end a paragraph; a
    paragraph ends when it is longer than `MAX_LINE_BYTES` characters.
    """
    lines: list[str] = []
    size = first = 0
    for number, line in enumerate(itertools.chain(read_lines(file), [""]), 1):
        if isinstance(line, problem.Rejected):
            yield line
            continue
        if not _is_blank(line):
            first = first if lines else number
            lines.append(line.strip(BLANKS))
            size += len(line)
        if lines and (_is_blank(line) or size > MAX_LINE_BYTES):
            yield {"targets": " ".join(lines), "name": f"{file.name} line {first}"}
            lines, size = [], 0


def read_texts(file: TextFile) -> Iterator[str | problem.Rejected]:
    """Yields the segments of an .sgm, or the lines of any other file."""
    return read_segments(file) if file.name.endswith(".sgm") else read_lines(file)


def read_segments(file: TextFile) -> Iterator[str | problem.Rejected]:
    """Yields the text of every <seg> of an .sgm, which may stand on several lines."""
    begun = ""
    for line in read_lines(file):
        if isinstance(line, problem.Rejected):
            yield line
            continue
        begun += line if not begun else " " + line
        end = 0
        for match in _SEGMENT.finditer(begun):
            end = match.end()
            yield _ENTITY.sub(_unescape, match[1])
        begun = begun[end:] if "<seg" in begun[end:].lower() else ""


def _unescape(match: re.Match[str]) -> str:
    # `html.unescape` would take "&notice;" for "&not" and the rest of a word.
    is_known = match[1].startswith("#") or match[1] in html.entities.html5
    return html.unescape(match[0]) if is_known else match[0]


def read_lines(file: TextFile) -> Iterator[str | problem.Rejected]:
    """Yields every line, or why it is no text.

    Raises:
      ValueError: if the file is damaged, is UTF-16, or is not in its archive.
    """
    for number, line in enumerate(_read_raw_lines(file), 1):
        if len(line) > MAX_LINE_BYTES:
            reason = f"line of more than {MAX_LINE_BYTES} bytes"
        else:
            try:
                yield line.decode()
                continue
            except UnicodeDecodeError:
                reason = "not UTF-8"
        yield problem.Rejected(name=f"{file.name} line {number}", reason=reason)


def _read_raw_lines(file: TextFile) -> Iterator[bytes]:
    """Yields lines without their ends; of long ones, a beginning that is too long."""
    try:
        with open_bytes(file) as stream:
            yield from _split_lines(stream, file)
    except _DAMAGE as error:
        raise damaged(file, error) from None


def _split_lines(stream: IO[bytes], file: TextFile) -> Iterator[bytes]:
    limit = MAX_LINE_BYTES + len(b"\r\n")
    line = stream.readline(limit)
    if line.startswith(OTHER_BYTE_ORDER_MARKS):
        raise ValueError(f"{file} must be UTF-8; it begins like UTF-16. Convert it.")
    line = line.removeprefix(codecs.BOM_UTF8)
    while line:
        is_whole = line.endswith(b"\n")
        yield line.removesuffix(b"\n").removesuffix(b"\r")
        if not is_whole:  # longer than the limit, or the last
            while line and not line.endswith(b"\n"):
                line = stream.readline(limit)
        line = stream.readline(limit)


@contextlib.contextmanager
def open_bytes(file: TextFile) -> Iterator[IO[bytes]]:
    """Opens a text; whether it is compressed is seen from its content."""
    with contextlib.ExitStack() as stack:
        raw = _open_raw(file, stack)
        if raw.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            unzipped = stack.enter_context(gzip.GzipFile(fileobj=raw))
            yield io.BufferedReader(unzipped, BUFFER_BYTES)  # type: ignore[type-var]
        else:
            yield raw


def _open_raw(file: TextFile, stack: contextlib.ExitStack) -> io.BufferedReader:
    if file.member is None:
        unbuffered = stack.enter_context(open(file.path, "rb", buffering=0))
        return io.BufferedReader(unbuffered, BUFFER_BYTES)
    members = read_members(file.path)
    stack.callback(members.close)
    return _find_member(members, file)


def _find_member(
    members: Iterable[tuple[str, io.BufferedReader]], file: TextFile
) -> io.BufferedReader:
    for name, content in members:
        if os.path.basename(name) in (file.member, f"{file.member}.gz"):
            return content
    raise ValueError(
        f"'{file.path}' must hold '{file.member}', and does not. Fetch it again, or "
        "take it away."
    )


def read_members(path: str) -> Generator[tuple[str, io.BufferedReader], None, None]:
    """Yields the files of a tar archive as (name, content), in its order.

    Nothing is unpacked, and a content can only be read before the next is asked for.

    Raises:
      ValueError: if the archive is damaged.
    """
    try:
        with tarfile.open(path) as archive:
            while (info := archive.next()) is not None:
                # The archive would keep the headers of all its members.
                archive.members = []  # type: ignore[attr-defined]
                content = archive.extractfile(info) if info.isfile() else None
                if isinstance(content, io.BufferedReader):  # as they all are
                    yield info.name, io.BufferedReader(content.detach(), BUFFER_BYTES)
    except _DAMAGE as error:
        raise damaged(TextFile(path), error) from None


def damaged(file: TextFile, error: Exception) -> ValueError:
    """Returns the error of a file that ends too early, or is no archive at all."""
    reason = str(error).partition("\n")[0].removesuffix(":")
    return ValueError(
        f"{file} must be a whole file; it cannot be uncompressed to its end "
        f"({reason}). Fetch it again."
    )
