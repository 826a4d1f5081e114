import io

import image_corpora
import numpy as np
import pytest
from PIL import Image

from t2t_mm import problem, registry
from t2t_mm.data import options
from t2t_mm.features import Split
from t2t_mm.problems import emoji, emoji_font

GROUPS = """\
# emoji-test.txt
# group: Smileys & Emotion
# subgroup: face-smiling
1F600                      ; fully-qualified     # face E1.0 grinning face
263A FE0F                  ; fully-qualified     # face E0.6 smiling face
263A                       ; unqualified         # face E0.6 smiling face

# group: People & Body
1F468 200D 1F4BB           ; fully-qualified     # man E4.0 man technologist
#EOF
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("emoji")
    image_corpora.write_emoji(folder)
    return folder


def samples(root, name="mini_emoji_caption"):
    """Returns samples and rejected ones of all splits, by the emoji's codes."""
    made = registry.problem(name)
    made.corpus_path = str(root)
    good, rejected = {}, {}
    for split in Split:
        for sample in made.generate_samples("", "", split):
            if isinstance(sample, problem.Rejected):
                rejected[sample.name] = (split, sample.reason)
            else:
                good[sample["name"]] = (split, sample)
    return good, rejected


def test_every_emoji_with_a_name_and_a_picture_is_in_one_split(root):
    good, _ = samples(root)

    names = {sample["targets"] for _, sample in good.values()}
    assert names == set(image_corpora.emoji_names().values())
    assert len(good) == len(names)


def test_the_name_decides_the_split(root):
    good, _ = samples(root)

    splits = {sample["targets"]: split for split, sample in good.values()}
    # The first eight digits of `printf %s NAME | sha1sum` modulo 10 are 8, 1 and 0.
    assert splits["man"] == Split.TRAIN
    assert splits["face number 1"] == Split.EVAL
    assert splits["man technologist"] == Split.TEST


def test_both_problems_have_the_same_pictures_in_each_split(root):
    captions, _ = samples(root)
    classes, _ = samples(root, "mini_emoji_class")

    assert classes.keys() == captions.keys()
    for key, (split, sample) in classes.items():
        assert split == captions[key][0]
        assert sample["inputs"] == captions[key][1]["inputs"]


def test_a_sequence_is_one_picture_of_its_own(root):
    good, _ = samples(root)

    sequence = good["U+1F468 200D 1F4BB"][1]
    man = good["U+1F468"][1]
    assert sequence["targets"] == "man technologist"
    assert sequence["inputs"] != man["inputs"]


def test_what_has_no_name_is_counted_and_harmless(root):
    _, rejected = samples(root)

    assert {reason for _, reason in rejected.values()} == {"newer than the names"}
    assert rejected.keys() == {"U+1FAE8", "U+1F6DC"}


def test_what_the_font_has_not_is_counted(root, tmp_path):
    image_corpora.write_emoji(tmp_path)
    names = image_corpora.emoji_names() | {"\U0001f6dc": "wireless"}
    folder = tmp_path / "usr/share/unicode/cldr/common/annotations"
    image_corpora.write_names(folder / "en.xml", names)

    _, rejected = samples(tmp_path)

    assert rejected["U+1F6DC"][1] == "not in the font"


def test_a_picture_is_a_quarter_as_large_and_on_white(root):
    made = registry.problem("mini_emoji_caption")
    good, _ = samples(root)
    (content,) = made.encode_inputs(good["U+1F605"][1]["inputs"], "")

    pixels = np.asarray(Image.open(io.BytesIO(content)))

    assert pixels.shape == (32, 34, 3)
    assert (pixels[:7] == 255).all() and (pixels[:, :7] == 255).all()
    number = list(image_corpora.emoji_names()).index("\U0001f605")
    difference = pixels[10:22, 11:23] - np.array(image_corpora.colour_of(number))
    assert np.abs(difference).max() <= 2


def test_the_group_is_the_class(root):
    good, _ = samples(root, "mini_emoji_class")
    made = registry.problem("mini_emoji_class")

    _, sample = good["U+1F600"]
    assert sample["targets"] == "People & Body"  # the second of the list
    assert made.encode_targets(sample["targets"], "") == [1]


def test_lines_with_and_without_a_selector_are_one_emoji(tmp_path):
    path = tmp_path / "emoji-test.txt"
    path.write_text(GROUPS, encoding="utf-8")

    assert list(emoji.read_emoji(str(path))) == [
        ("\U0001f600", "Smileys & Emotion"),
        ("\u263a", "Smileys & Emotion"),
        ("\U0001f468\u200d\U0001f4bb", "People & Body"),
    ]


def test_names_are_what_is_read_out(tmp_path):
    path = tmp_path / "en.xml"
    image_corpora.write_names(path, {"\u263a": "smiling face", "{": "bracket"})

    assert emoji.read_names([str(path)]) == {"\u263a": "smiling face", "{": "bracket"}


def test_the_font_knows_what_it_has(root):
    font = emoji_font.EmojiFont(
        str(root / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    )

    assert font.picture(image_corpora.WATCH + "\ufe0f").startswith(b"\x89PNG")
    assert font.picture(image_corpora.LAPTOP) is None  # only part of a sequence
    assert font.picture("\u200d") is None
    assert font.picture("x") is None
    assert font.picture("\U0001f600\U0001f468") is None


def test_a_file_that_is_no_font_with_pictures_is_named(tmp_path):
    path = tmp_path / "font.ttf"
    path.write_bytes(b"text")

    with pytest.raises(ValueError, match=r"font.ttf' must be a font with colour"):
        emoji_font.EmojiFont(str(path))


def test_a_missing_package_is_named(tmp_path):
    image_corpora.write_emoji(tmp_path)
    (tmp_path / "usr/share/unicode/emoji/emoji-test.txt").unlink()

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path)

    assert "'usr/share/unicode/emoji/emoji-test.txt'" in str(caught.value)
    assert "fonts-noto-color-emoji unicode-cldr-core unicode-data" in str(caught.value)


def test_another_font_makes_other_records(tmp_path):
    image_corpora.write_emoji(tmp_path)
    made = registry.problem("mini_emoji_class")
    made.corpus_path = str(tmp_path)
    before = options.corpus_fingerprint(made.corpus_files())

    with open(made.corpus_files()[1], "ab") as font:
        font.write(b"0")

    assert options.corpus_fingerprint(made.corpus_files()) != before
