"""What a problem is made from: files of the user's own, or downloads."""

import dataclasses
import os

MAX_NAMES_IN_MESSAGE = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Download:
    """One file of the internet.

    Attributes:
      url: where it is.
      file: name below the corpus's folder; may have folders in it.
      num_bytes: its size if known.
      sha256: its SHA-256 if known, as hexadecimal digits.
    """

    url: str
    file: str
    num_bytes: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        """Checks that `file` stays below the folder.

        Raises:
          ValueError: if it does not.
        """
        parts = self.file.split("/")
        if os.path.isabs(self.file) or not all(parts) or {".", ".."} & set(parts):
            raise ValueError(
                f"`file` of a download must be a path below the corpus's folder, such "
                f"as 'train.zip'; got '{self.file}'."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Corpus:
    """Where the samples of some problems come from.

    Attributes:
      name: what --corpus_path=NAME=PATH calls it.
      title: what it is, in one line.
      obtain: how to get it: whom to ask, what it costs, or which command fetches it.
      layout: what PATH must hold, one file or folder per line.
      licence: who may use it and for what, in one line.
      stand_ins: problems of the same kind that anybody can make.
      downloads: files that can be fetched without asking; empty for a corpus that the
        user must have.
    """

    name: str
    title: str
    obtain: str = ""
    layout: str = ""
    licence: str = ""
    stand_ins: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()

    def help_page(self, problem_name: str, path: str | None) -> str:
        """Returns what a user reads when the corpus is not where it should be.

        Args:
          problem_name: the problem that needs it.
          path: where it was looked for; None if nowhere.
        """
        lines = [
            f"{problem_name} is made from {self.title} ({describe(path)}). "
            f"Say where it is with --corpus_path={self.name}=PATH."
        ]
        if self.obtain:
            lines.append(f"How to obtain it: {self.obtain}")
        if self.licence:
            lines.append(f"Licence: {self.licence}")
        if self.layout:
            lines.append(f"What PATH must hold: {indent_more_lines(self.layout)}")
        if self.stand_ins:
            names = " or ".join(f"--problem={name}" for name in self.stand_ins)
            lines.append(f"Free for everybody instead: {names}")
        return "\n".join(lines)


def indent_more_lines(text: str) -> str:
    """Returns a text of one line as it is, and one of several below its heading."""
    lines = text.strip().splitlines()
    return text if len(lines) == 1 else "".join(f"\n  {line}" for line in lines)


def describe(path: str | None) -> str:
    """Returns what is at a path, for the end of a sentence."""
    if path is None:
        return "none given"
    if not os.path.exists(path):
        return f"there is no '{path}'"
    if not os.path.isdir(path):
        return f"'{path}' is a file"
    names = sorted(os.listdir(path))
    more = ", ..." if len(names) > MAX_NAMES_IN_MESSAGE else ""
    shown = ", ".join(names[:MAX_NAMES_IN_MESSAGE]) or "nothing"
    return f"'{path}' holds {shown}{more}"
