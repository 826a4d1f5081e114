import pytest

from t2t_mm.problems import wsj_transcripts
from t2t_mm.problems.wsj_transcripts import Punctuation

CONTENT = """The sale of the hotels is part \\(LEFT-PAREN of it (011c0201)
[loud_breath] She is -- fine (011C0202)
a line of something else

(011c0203)
"""


def test_a_file_has_a_text_per_utterance():
    assert wsj_transcripts.parse(CONTENT) == {
        "011c0201": "The sale of the hotels is part \\(LEFT-PAREN of it",
        "011c0202": "[loud_breath] She is -- fine",
        "011c0203": "",
    }


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Sale of HOTELS", "the sale of hotels"),
        ("a [loud_breath] breath", "a breath"),
        ("a [<door_slam] slam [door_slam>]", "a slam"),
        ("a [phone_ring/] phone [/phone_ring]", "a phone"),
        ("he said <and> left", "he said and left"),
        ("a *mispronounced* word", "a mispronounced word"),
        ("cut off . here ~", "cut off here"),
        ("e:specially !this", "especially this"),
        ("a (wor)d", "a word"),
        ("Mr. Smith's rock-and-roll", "mr. smith's rock-and-roll"),
        ("AT\\&T", "at&t"),
        ("rock 'N roll 'TIS", "rock 'n roll 'tis"),
        ("ten %PERCENT", "ten percent"),
        ("one .POINT five", "one point five"),
    ],
)
def test_what_is_said_stays(text, normal):
    assert wsj_transcripts.normalize(text) == normal


@pytest.mark.parametrize(
    ("punctuation", "normal"),
    [
        (Punctuation.WORDS, "double quote yes comma he said period dash no"),
        (Punctuation.MARKS, '" yes , he said . -- no'),
        (Punctuation.DROP, "yes he said no"),
    ],
)
def test_punctuation_that_is_said_is_words_marks_or_nothing(punctuation, normal):
    text = '\\"DOUBLE-QUOTE Yes ,COMMA he said .PERIOD --DASH no'

    assert wsj_transcripts.normalize(text, punctuation) == normal


@pytest.mark.parametrize("punctuation", [Punctuation.MARKS, Punctuation.DROP])
def test_numbers_keep_their_words(punctuation):
    text = "one .POINT five %PERCENT 'SINGLE-QUOTE ;SEMI-COLON"

    normal = wsj_transcripts.normalize(text, punctuation)

    assert normal.split()[:4] == ["one", "point", "five", "percent"]
    assert normal.split()[4:] == (["'", ";"] if punctuation == "marks" else [])
