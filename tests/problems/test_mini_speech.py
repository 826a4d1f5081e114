import collections

import pytest
import speech_corpora

from t2t_mm import registry
from t2t_mm.data import sound_file
from t2t_mm.features import Split
from t2t_mm.problems import asterisk_prompts, ding, flite, mini_speech


@pytest.fixture
def root(tmp_path, monkeypatch):
    speech_corpora.put_on_path(monkeypatch, tmp_path / "bin")
    texts = [f"Press {n}, {word}!" for word in ("please", "now") for n in range(10, 40)]
    speech_corpora.write_prompts(tmp_path, texts)
    speech_corpora.write_ding(tmp_path, ["I see you.", "You see me.", "One."])
    speech_corpora.write_flite(tmp_path / "bin")
    return tmp_path


def samples(root, split):
    made = registry.problem("mini_speech")
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


def test_a_prompt_is_in_one_split_by_its_words(root):
    found = {split: samples(root, split) for split in Split}

    prompts = {
        split: [s["targets"] for s in part if "press" in s["targets"]]
        for split, part in found.items()
    }
    assert sum(map(len, prompts.values())) == 60
    for split, texts in prompts.items():
        assert texts
        assert {mini_speech.split_of_prompt(text) for text in texts} == {split}


def test_prompts_come_as_paths_and_sentences_as_what_is_to_be_said(root):
    train = samples(root, Split.TRAIN)

    sentences = [s for s in train if isinstance(s["inputs"], flite.Utterance)]
    assert {s["targets"] for s in sentences} == {"i see you", "you see me"}
    assert {s["inputs"].text for s in sentences} == {"I see you.", "You see me."}
    assert all(s["inputs"].voice in ("rms", "awb", "kal16") for s in sentences)
    prompt = next(s["inputs"] for s in train if s not in sentences)
    assert prompt.parent == root / mini_speech.PROMPT_SOUNDS


def test_a_sentence_is_spoken_when_it_is_encoded(root):
    made = registry.problem("mini_speech")
    sentence = samples(root, Split.TRAIN)[-1]

    (content,) = made.encode(sentence, "")["inputs"]

    said = sound_file.read(root / "bin" / "said.wav", max_seconds=9).waveform
    assert content == made.encode_inputs(said, "")[0]


def test_prompts_at_8_khz_become_16_khz(root):
    made = registry.problem("mini_speech")
    prompt = samples(root, Split.TRAIN)[0]

    assert made.record_lengths(made.encode(prompt, ""))[0] == 15  # 0.3 s, 20 ms each


def test_sentences_are_dealt_out_by_a_hash_in_fixed_numbers():
    sentences = [f"Sentence {number}." for number in range(3000)]

    parts = {split: mini_speech.sentences_of(sentences, split) for split in Split}

    counts = {split: len(part) for split, part in parts.items()}
    assert counts == {Split.TRAIN: 2400, Split.EVAL: 200, Split.TEST: 200}
    assert set().union(*parts.values()) == set(sentences[:2800])


def test_the_voice_of_the_test_split_is_not_heard_in_training():
    heard = set(mini_speech.VOICES[Split.TRAIN] + mini_speech.VOICES[Split.EVAL])

    assert heard.isdisjoint(mini_speech.VOICES[Split.TEST])


def test_without_flite_the_package_is_named(root, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(FileNotFoundError, match="'flite'.*apt-get install flite"):
        samples(root, Split.TRAIN)


@pytest.mark.parametrize(
    ("script", "complaint"),
    [("echo no such voice >&2; exit 1", "no such voice"), ("exit 0", "wrote no sound")],
)
def test_a_flite_that_fails_says_what_it_was_to_say(root, script, complaint):
    speech_corpora.write_program(root / "bin" / "flite", script)

    with pytest.raises(ValueError, match=f"'Hello.' in the voice 'kal': .*{complaint}"):
        flite.speak(flite.Utterance("Hello.", "kal"))


@pytest.mark.parametrize("file", [mini_speech.PROMPT_TEXTS, mini_speech.DICTIONARY])
def test_a_missing_package_is_named_by_its_file(root, file):
    (root / file).unlink()

    with pytest.raises(FileNotFoundError) as caught:
        samples(root, Split.TRAIN)

    assert f"mini_speech needs '{file}' below" in str(caught.value)
    assert "asterisk-core-sounds-en-wav trans-de-en" in str(caught.value)


def test_only_prompts_that_are_speech_of_good_length_are_read(root):
    prompts = list(
        asterisk_prompts.read_prompts(
            root / mini_speech.PROMPT_TEXTS, root / mini_speech.PROMPT_SOUNDS
        )
    )

    # A tone, silence, a wrong text, a missing file, "one" over three seconds and a
    # sound of thirteen are left out.
    counts = collections.Counter(prompt.path.stem.split("-")[0] for prompt in prompts)
    assert counts == {"activated": 1, "prompt": 59}


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (
            "That agent is already logged on.  Please!",
            "that agent is already logged on please",
        ),
        ("Press 1, 2 or *.", "press one two or star"),
        ("the # key", "the pound key"),
        ("...has joined", "has joined"),
        ("You don't have 10.", "you don't have ten"),
        ("3D audio", "three d audio"),
    ],
)
def test_prompts_are_written_as_they_are_said(text, spoken):
    assert asterisk_prompts.spoken(text) == spoken


def test_sentences_of_the_dictionary_are_found_among_its_entries(tmp_path):
    path = tmp_path / "de-en"
    path.write_text(
        "# Das ist gut. :: That is good.\n"
        "Apfel {m} :: apple\n"
        "gut | Das ist gut. [ugs.]; Das passt. :: "
        "good | That is good. (coll.); It fits.\n"
        "gut | Nur Deutsch. :: good\n"
        "Er ging :: He went.\n",
        encoding="utf-8",
    )

    assert list(ding.read_sentences(str(path))) == ["That is good."]


def test_plain_sentences_are_short_and_the_commonest_words_come_first(tmp_path):
    sentences = [
        "Zebras see us.",
        "You see me.",
        "Me, you see!",
        "You see me?",  # said before
        "Two words.",
        "This one has far too many words.",
        "They see sb. there.",
        "He said: no way.",
    ]
    speech_corpora.write_ding(tmp_path, sentences)

    found = ding.plain_sentences(str(tmp_path / mini_speech.DICTIONARY))

    assert found == ["Me, you see!", "You see me.", "Zebras see us."]
