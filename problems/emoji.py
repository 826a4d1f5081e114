"""Emoji: small colour pictures with English names and groups.

Pictures are from Noto Color Emoji, names from Unicode's locale data (CLDR), groups from
Unicode's list of emoji. The split of a picture hangs on its name, so both problems have
the same pictures in each split. No name of the test split occurs in training, but its
parts do: "man surfing: medium-dark skin tone".
"""

import os
import xml.etree.ElementTree
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from t2t_mm import problem, registry
from t2t_mm.data import image_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import debian, emoji_font, split_folders

FONT_FILE = "../fonts/truetype/noto/NotoColorEmoji.ttf"
NAMES_FILES = (
    "cldr/common/annotations/en.xml",
    "cldr/common/annotationsDerived/en.xml",
)
GROUPS_FILE = "emoji/emoji-test.txt"
GROUP_LINE = "# group:"


class Emoji(NamedTuple):
    """One emoji of Unicode's list.

    Attributes:
      characters: without the selector that asks for the colour picture.
      group: name of its group.
    """

    characters: str
    group: str


class EmojiProblem(debian.PackageProblem, image_problem.ImageProblem):
    """A problem about pictures of emoji, a quarter as high and wide as in the font."""

    image_shape = (32, 34, 3)
    corpus = debian.packages_corpus(
        "fonts-noto-color-emoji", "unicode-cldr-core", "unicode-data"
    )
    package_folder: ClassVar[str] = "usr/share/unicode"
    package_files: ClassVar[tuple[str, ...]] = (FONT_FILE, *NAMES_FILES, GROUPS_FILE)

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [{"split": split, "shards": 1} for split in Split]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the emoji of one split that have a name and a picture."""
        folder = self.require_corpus_path()
        names = read_names([os.path.join(folder, file) for file in NAMES_FILES])
        font = emoji_font.EmojiFont(os.path.join(folder, FONT_FILE))
        for emoji in read_emoji(os.path.join(folder, GROUPS_FILE)):
            name = names.get(emoji.characters)
            if split_folders.tenth_of(name or "") != dataset_split:
                continue
            label = "U+" + " ".join(f"{ord(char):X}" for char in emoji.characters)
            picture = font.picture(emoji.characters)
            if name is None or picture is None:
                reason = "newer than the names" if name is None else "not in the font"
                yield problem.Rejected(name=label, reason=reason, harmless=True)
                continue
            yield {
                "name": label,
                "inputs": picture,
                "targets": self.target(emoji, name),
            }

    def target(self, emoji: Emoji, name: str) -> str:
        """Returns what is to be said about an emoji."""
        raise NotImplementedError


@registry.register_problem("mini_emoji_class")
class MiniEmojiClass(EmojiProblem, image_problem.Image2ClassProblem):
    """Picture of an emoji to its group."""

    class_names = (
        "Smileys & Emotion",
        "People & Body",
        "Component",
        "Animals & Nature",
        "Food & Drink",
        "Travel & Places",
        "Activities",
        "Objects",
        "Symbols",
        "Flags",
    )

    def target(self, emoji: Emoji, name: str) -> str:
        """Returns the group."""
        return emoji.group


@registry.register_problem("mini_emoji_caption")
class MiniEmojiCaption(EmojiProblem, image_problem.Image2TextProblem):
    """Picture of an emoji to its English name."""

    target_space = SpaceId.EN_TOK
    approx_vocab_size = 2**10  # 1,500 words, most of them once

    def target(self, emoji: Emoji, name: str) -> str:
        """Returns the name."""
        return name


def read_names(paths: list[str]) -> dict[str, str]:
    """Returns the names of emoji, and other characters, by their characters."""
    names = {}
    for path in paths:
        for entry in xml.etree.ElementTree.parse(path).iter("annotation"):
            if entry.get("type") == "tts" and entry.text:  # what a computer reads out
                names[_without_selector(entry.get("cp", ""))] = entry.text.strip()
    return names


def read_emoji(path: str) -> Iterator[Emoji]:
    """Yields each emoji of a file like emoji-test.txt once, in its order."""
    group = ""
    seen = set()
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(GROUP_LINE):
                group = line.removeprefix(GROUP_LINE).strip()
            codes, separator, _ = line.partition("#")[0].partition(";")
            if not separator:
                continue
            characters = "".join(chr(int(code, 16)) for code in codes.split())
            characters = _without_selector(characters)
            if characters not in seen:  # there are lines with and without selector
                seen.add(characters)
                yield Emoji(characters, group)


def _without_selector(characters: str) -> str:
    return characters.replace(emoji_font.VARIATION_SELECTOR, "")
