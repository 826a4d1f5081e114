"""Corpora in their real formats, made here, for the problems that need one."""

import gzip
import itertools
import pathlib
import struct

import numpy as np
import pytest

HELP_FOLDER = "usr/share/libreoffice/help"
FASHION_FOLDER = "usr/share/datasets/fashion-mnist"

# The same words in English, German and French, all feminine where there are genders.
NOUNS = (
    ("cow", "Kuh", "vache"),
    ("flower", "Blume", "fleur"),
    ("goat", "Ziege", "chèvre"),
    ("hen", "Henne", "poule"),
    ("lamp", "Lampe", "lampe"),
    ("mouse", "Maus", "souris"),
)
VERBS = (
    ("draws", "zeichnet", "dessine"),
    ("finds", "findet", "trouve"),
    ("hears", "hört", "entend"),
    ("likes", "mag", "aime"),
    ("sees", "sieht", "voit"),
)
ARTICLES = ("The {} {} the {}.", "Die {} {} die {}.", "La {} {} la {}.")

PAGE = """<!DOCTYPE html>
<html lang="{language}" dir="ltr">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<title>Help</title>
</head>
<body>
<header id="TopLeftHeader"><a class="logo" href="{language}/text/shared/05/new_help.html">
<p dir="auto">LibreOffice 7.4 Help</p></a></header><div id="DisplayArea">
{body}
</div>
<footer><div id="DEBUG" class="debug"><p id="bm_module" dir="auto"></p></div></footer>
</body>
</html>
"""


@pytest.fixture(scope="session")
def write_help_page():
    """A function that writes a page of help in each language."""

    def write(root, page, body_by_language):
        for language, body in body_by_language.items():
            path = pathlib.Path(root, HELP_FOLDER, language, "text", page)
            path.parent.mkdir(parents=True, exist_ok=True)
            content = PAGE.format(language=language, body=body)
            path.write_text(content, encoding="utf-8")

    return write


@pytest.fixture(scope="session")
def write_fashion():
    """A function that writes one part of Fashion-MNIST."""

    def write(root, part, images, labels):
        folder = pathlib.Path(root, FASHION_FOLDER)
        folder.mkdir(parents=True, exist_ok=True)
        for name, magic, array in (
            (f"{part}-images-idx3-ubyte.gz", 0x803, images),
            (f"{part}-labels-idx1-ubyte.gz", 0x801, labels),
        ):
            header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
            content = gzip.compress(header + array.tobytes(), compresslevel=1)
            (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture(scope="session")
def corpus_paths(tmp_path_factory, write_help_page, write_fashion):
    """A path for every `Problem.corpus`, as --corpus_path gives them."""
    root = tmp_path_factory.mktemp("corpora")
    words = list(itertools.product(NOUNS, VERBS, NOUNS))
    bodies = {
        language: "\n".join(
            f'<p id="par_id{number}" class="paragraph" dir="auto">'
            f"{ARTICLES[column].format(*(word[column] for word in row))}</p>"
            for number, row in enumerate(words)
        )
        for column, language in enumerate(("en-US", "de", "fr"))
    }
    write_help_page(root, "swriter/guide/animals.html", bodies)
    # The last 5,000 training images are the dev split.
    for part, count in (("train", 5030), ("t10k", 30)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 4:24] = labels[:, np.newaxis, np.newaxis] * 20
        write_fashion(root, part, images, labels)
    return {"debian": str(root)}
