"""Captions of images in tables and in JSON files like COCO's."""

import collections
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from t2t_mm import problem

_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # as `errors="surrogateescape"` reads it


class Caption(NamedTuple):
    """One sentence about an image.

    Attributes:
      file: name of the image.
      text: the sentence, on one line.
    """

    file: str
    text: str


Captions = Iterator[Caption | problem.Rejected]


def from_json(content: bytes, path: str) -> Captions:
    """Yields the captions of a file like captions_train2014.json, image by image.

    They come in the order of the images' names, and of the captions' numbers.

    Args:
      content: {"images": [{"id", "file_name"}, ...], "annotations": [{"id", "image_id",
        "caption"}, ...]}.
      path: the name of the file, for messages.

    Raises:
      ValueError: if it is another file.
    """
    captions = collections.defaultdict(list)
    try:
        values = json.loads(content)
        names = {entry["id"]: entry["file_name"] for entry in values["images"]}
        for entry in values["annotations"]:
            captions[entry["image_id"]].append((entry["id"], entry["caption"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}' must have 'images' with 'id' and 'file_name', and 'annotations' "
            f"with 'id', 'image_id' and 'caption', as COCO has; got {error!r}."
        ) from error
    for image_id in sorted(captions.keys() - names.keys(), key=str):
        reason = "caption of no image"
        yield problem.Rejected(name=f"{path} image {image_id}", reason=reason)
    for image_id, name in sorted(names.items(), key=lambda item: item[1]):
        if image_id not in captions:
            reason = "image without captions"
            yield problem.Rejected(name=name, reason=reason, harmless=True)
            continue
        for number, text in sorted(captions[image_id], key=lambda caption: caption[0]):
            yield checked(f"{path} caption {number}", name, text)


def from_table(lines: Iterable[str], path: str) -> Captions:
    """Yields the captions of lines of a file's name, a tab and a sentence, in order.

    Args:
      lines: the lines of the file, with lone surrogates for what is not UTF-8.
      path: its name, for messages.
    """
    for number, line in enumerate(lines, start=1):
        name, tab, text = line.rstrip("\r\n").partition("\t")
        label = f"{path} line {number}"
        if not tab and not name.strip():
            reason = "blank line"
            yield problem.Rejected(name=label, reason=reason, harmless=True)
        elif not tab:
            yield problem.Rejected(name=label, reason="line without a tab")
        else:
            yield checked(label, name, text)


def checked(label: str, file: str, text: Any) -> Caption | problem.Rejected:
    """Returns a caption on one line, or why there is none.

    Args:
      label: which caption it is, as a user finds it.
      file: name of the image.
      text: what should be the sentence.
    """
    if not isinstance(text, str):
        return problem.Rejected(name=label, reason="caption that is no text")
    if _NOT_UTF8.search(text):
        return problem.Rejected(name=label, reason="not UTF-8")
    text = " ".join(text.split())  # some have line breaks in or after them
    if not text:
        return problem.Rejected(name=label, reason="blank caption", harmless=True)
    return Caption(file, text)
