import pytest
import speech_corpora

from t2t_mm import problem, registry
from t2t_mm.features import Split
from t2t_mm.problems import speech_folder

SOUND = speech_corpora.sound_bytes(speech_corpora.tone())


def samples(root, split=Split.TRAIN):
    made = registry.problem("speech_folder")
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


def write_sounds(root, *names):
    for name in names:
        speech_corpora.write(root / name, SOUND)


def pairs(found):
    return [(str(sample["inputs"]), sample["targets"]) for sample in found]


@pytest.mark.parametrize(
    ("table", "sounds", "content", "texts"),
    [
        ("transcripts.tsv", "a.wav b.wav", "a.wav\tOne.\nb.wav\tTwo.\n", "One. Two."),
        ("transcripts.tsv", "a.wav b.wav", "a\tOne.\r\nb\tTwo.", "One. Two."),
        ("transcripts.tsv", "a.flac", "text\tfile\nOne.\ta\n", "One."),
        ("transcripts.tsv", "x/a.wav", "x/a.wav\tOne.\n\n", "One."),
        ("transcripts.csv", "a.wav", 'file,text\na.wav,"One."\n', "One."),
        # As LJSpeech: the numbers as words come last.
        ("metadata.csv", "wavs/LJ-1.wav", "LJ-1|No. 1.|One.\n", "One."),
        ("metadata.csv", "wavs/LJ-1.wav", "LJ-1|One.\n", "One."),
        # As folders of audio of Hugging Face.
        ("metadata.csv", "a.mp3", "file_name,transcription\na.mp3,One.\n", "One."),
        # As Common Voice.
        (
            "validated.tsv",
            "clips/a.mp3",
            "client_id\tpath\tsentence\nabc\ta.mp3\tOne.\n",
            "One.",
        ),
    ],
)
def test_tables_of_many_kinds_are_read(table, sounds, content, texts, tmp_path):
    write_sounds(tmp_path, *sounds.split())
    speech_corpora.write(tmp_path / table, content)

    found = list(speech_folder.SpeechFolder().read(tmp_path / table))

    assert pairs(found) == [
        (str(tmp_path / sound), text)
        for sound, text in zip(sounds.split(), texts.split(), strict=True)
    ]


@pytest.mark.parametrize("layout", ["{}.tsv", "{}/transcripts.tsv", "{}/metadata.csv"])
def test_splits_have_tables_or_folders_of_their_own(layout, tmp_path):
    for word in ("train", "dev", "test"):
        path = tmp_path / layout.format(word)
        write_sounds(path.parent, f"{word}.wav")
        speech_corpora.write(path, f"{word}.wav\tThis is {word}.\n")

    for split in Split:
        ((_, text),) = pairs(samples(tmp_path, split))
        assert text == f"This is {split}."


def test_without_splits_a_text_is_in_one_of_them_whoever_says_it(tmp_path):
    rows = [f"{speaker}{n}.wav\tSentence {n}." for n in range(100) for speaker in "ab"]
    write_sounds(tmp_path, *(row.split("\t")[0] for row in rows))
    speech_corpora.write(tmp_path / "transcripts.tsv", "\n".join(rows))

    found = {split: samples(tmp_path, split) for split in Split}

    texts = [{text for _, text in pairs(part)} for part in found.values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 100
    assert sum(map(len, found.values())) == 200
    assert all(1 < len(part) < 13 for part in texts[1:])


def test_a_table_may_be_the_path(tmp_path):
    write_sounds(tmp_path, "a.wav")
    speech_corpora.write(tmp_path / "mine.txt", "a.wav\tThis text is for training.\n")

    assert len(samples(tmp_path / "mine.txt")) == 1


def test_rows_that_are_no_utterances_are_counted_by_name(tmp_path):
    write_sounds(tmp_path, "a.wav", "b.wav", "c.wav")
    content = "a.wav\tOne\u2028more.\nb.wav\t \nnone.wav\tTwo.\nc.wav\n\tThree.\n"
    not_utf8 = b"c.wav\tF\xfcnf.\n"
    speech_corpora.write(tmp_path / "train.tsv", content.encode() + not_utf8)

    good, *rejected = samples(tmp_path)

    assert good["targets"] == "One\u2028more."
    assert rejected == [
        problem.Rejected(name="b.wav", reason="it has no text"),
        problem.Rejected(name="none.wav", reason="its sound file is missing"),
        problem.Rejected(name="train.tsv row 4", reason="it is not a file and a text"),
        problem.Rejected(name="", reason="its sound file is missing"),
        problem.Rejected(name="c.wav", reason="its text is not UTF-8"),
    ]


def test_a_folder_without_a_table_is_answered_by_what_it_must_hold(tmp_path):
    write_sounds(tmp_path, "a.wav")

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path)

    message = str(caught.value)
    assert f"'{tmp_path}' holds a.wav" in message
    assert "transcripts.tsv, transcripts.csv, metadata.csv, validated.tsv" in message


def test_a_quote_that_nothing_closes_is_found(tmp_path):
    table = tmp_path / "metadata.csv"
    table.write_text('file,text\na.wav,"One.\n' + 20_000 * "b.wav,Two.\n")

    with pytest.raises(
        ValueError, match="metadata.csv' must be .*a quote that nothing"
    ):
        list(speech_folder.read_rows(table))
