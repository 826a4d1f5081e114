"""Corpora in their real formats, made here, for the problems that need one."""

import gzip
import itertools
import pathlib
import struct

import image_corpora
import numpy as np
import parsing_corpora
import speech_corpora
import text_corpora

HELP_FOLDER = "usr/share/libreoffice/help"
FASHION_FOLDER = "usr/share/datasets/fashion-mnist"

# English, German and French, all feminine where there are genders.
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
FRAMES = ("The {} {} the {}.", "Die {} {} die {}.", "La {} {} la {}.")
LANGUAGES = ("en-US", "de", "fr")

PAGE = """<!DOCTYPE html>
<html lang="{language}" dir="ltr">
<head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8">
<title>Help</title>
</head>
<body>
<header id="TopLeftHeader"><a class="logo" href="{language}/text/new_help.html">
<p dir="auto">LibreOffice 7.4 Help</p></a></header><div id="DisplayArea">
{body}
</div>
<footer><div id="DEBUG" class="debug"><p id="bm_module" dir="auto"></p></div></footer>
</body>
</html>
"""


def make_all(root):
    """Returns a path for every `Problem.corpus`, as --corpus_path gives them.

    Programs that problems run are in `root/bin`, to be put on the PATH.
    """
    write_help_page(root, "swriter/guide/animals.html", animal_texts())
    # The last 5,000 training images are the dev split.
    write_fashion_part(root, "train", count=5030)
    write_fashion_part(root, "t10k", count=30)
    mnist = {name: str(root / FASHION_FOLDER) for name in ("mnist", "fashion_mnist")}
    return {
        "debian": str(root),
        **image_corpora.make(root),
        **mnist,
        **parsing_corpora.make(root),
        **speech_corpora.make(root),
        **text_corpora.make(root),
    }


def animal_texts():
    """Returns 180 sentences in three languages: enough for some in every split."""
    rows = list(itertools.product(NOUNS, VERBS, NOUNS))
    return {
        f"par_id{number}": tuple(
            frame.format(*(words[column] for words in row))
            for column, frame in enumerate(FRAMES)
        )
        for number, row in enumerate(rows)
    }


def write_help_page(root, page, texts):
    """Writes a page in each language; `texts` are markup by id, None for no text."""
    for column, language in enumerate(LANGUAGES):
        body = "\n".join(
            f'<p id="{text_id}" class="paragraph" dir="auto">{markups[column]}</p>'
            for text_id, markups in texts.items()
            if markups[column] is not None
        )
        path = pathlib.Path(root, HELP_FOLDER, language, "text", page)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE.format(language=language, body=body), encoding="utf-8")


def write_fashion_part(root, part, count):
    """Writes "train" or "t10k": every image is as grey as `grey_of` its number."""
    numbers = np.arange(count)
    images = np.zeros((count, 28, 28), np.uint8)
    images[:, 4:24, 6:22] = grey_of(numbers)[:, np.newaxis, np.newaxis]
    labels = (numbers % 10).astype(np.uint8)
    folder = pathlib.Path(root, FASHION_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)


def grey_of(numbers):
    return numbers % 251


def write_idx(path, array):
    """Writes unsigned bytes: zero, zero, type 8, number of axes, shape, values."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))
