"""Running the code of a document, block by block, as a reader would."""

import contextlib
import pathlib
import re
import runpy
import shlex
import sys

import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_datagen, t2t_decoder, t2t_report, t2t_trainer

DOCS = pathlib.Path(__file__).parents[2] / "docs"
PROGRAMS = {
    "t2t-datagen": t2t_datagen,
    "t2t-decoder": t2t_decoder,
    "t2t-report": t2t_report,
    "t2t-trainer": t2t_trainer,
}


def blocks(document, language):
    """Returns the code blocks of one language in a document of docs/."""
    text = (DOCS / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def lines(block):
    """Returns the command lines of a block of shell code."""
    return block.replace("\\\n", " ").splitlines()


def run(line, flags=()):
    """Runs one command line in this process, with more flags than it has."""
    program, *arguments = shlex.split(line)
    arguments += flags
    if program == "echo":
        *words, _, path = arguments
        pathlib.Path(path).write_text(" ".join(words) + "\n")
    elif program == "python":
        (path,) = arguments
        runpy.run_path(path)
    else:
        PROGRAMS[program].main([program, *arguments])


@contextlib.contextmanager
def reader_in(folder, modules):
    """Goes into a folder; forgets at the end what its modules have registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", list(sys.path))
        for names in (registry.PROBLEMS, registry.MODALITIES):
            patch.setattr(names, "_entries", dict(names._entries))
        yield folder
    for module in modules:
        sys.modules.pop(module, None)
