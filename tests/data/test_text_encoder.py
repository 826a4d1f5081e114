import io

import pytest
import sentencepiece

from t2t_mm.data import text_encoder

CORPUS = ["Hello wörld, hello Welt", "schöne neue Welt\nmit Zeilen", "1234 5678"] * 3

ODD_TEXTS = [
    "",
    " ",
    "  two  spaces  ",
    "line\nbreak\r\n\ttab",
    "\u2581",
    "a\u2581b \u2581\u2581 c",
    "\u001a",
    "\u001a0\u001a1\u2581\u001a",
    "\u2028\u2029\u0085\u00a0\u200b\ufeff",
    "e\u0301 \u00e9 \ufb01 \u2167",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0010ffff \ufffd",
    "a\0b",
    "<0x0A> </s> <unk> <pad> <s>",
    "日本語 עברית",
]


@pytest.fixture(scope="module")
def subwords():
    model = text_encoder.build_subwords(CORPUS, 300)
    return text_encoder.SubwordTextEncoder(model)


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_subwords_are_lossless(subwords, text):
    assert subwords.decode(subwords.encode(text)) == text


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_bytes_are_lossless(text):
    encoder = text_encoder.ByteTextEncoder()

    assert encoder.decode(encoder.encode(text)) == text


def test_text_never_gets_a_reserved_id(subwords):
    for text in ODD_TEXTS:
        assert all(2 < i < subwords.vocab_size for i in subwords.encode(text))


def test_a_vocabulary_built_twice_is_the_same_file():
    first = text_encoder.build_subwords(iter(CORPUS), 300)
    second = text_encoder.build_subwords(iter(CORPUS), 300)

    assert first == second


def test_a_small_corpus_gives_fewer_ids_and_still_encodes_all():
    model = text_encoder.build_subwords(["ab"], 8192)
    encoder = text_encoder.SubwordTextEncoder(model)

    assert 259 < encoder.vocab_size < 270
    assert encoder.decode(encoder.encode("completely different")) == (
        "completely different"
    )


def test_frequent_words_become_one_id():
    model = text_encoder.build_subwords(["the cat the dog"] * 50, 400)
    encoder = text_encoder.SubwordTextEncoder(model)

    assert len(encoder.encode("the cat")) <= 2


def test_reserved_tokens_have_one_id_wherever_they_stand():
    tokens = (" /NP", " PRP$")
    model = text_encoder.build_subwords(["S NP PRP$ /NP /S"] * 9, 300, tokens)
    encoder = text_encoder.SubwordTextEncoder(model)

    ids = encoder.encode(" /NP PRP$ /NP")
    again = encoder.encode("S /NP")

    assert len(ids) == 3
    assert ids[0] == ids[2] == again[-1] != ids[1]
    for text in (" /NP PRP$ /NP", "and /NPs or/NP  /NP", "\u2581/NP"):
        assert encoder.decode(encoder.encode(text)) == text


def test_a_vocabulary_without_text_is_refused():
    with pytest.raises(ValueError, match="there was none"):
        text_encoder.build_subwords([], 300)


def test_a_vocabulary_without_room_for_bytes_is_refused():
    with pytest.raises(ValueError, match="take 259"):
        text_encoder.build_subwords(["abc"], 100)


def test_a_file_that_is_no_vocabulary_is_refused():
    with pytest.raises(ValueError, match="not a SentencePiece vocabulary"):
        text_encoder.SubwordTextEncoder(b"no model")


def test_half_a_surrogate_pair_is_refused(subwords):
    with pytest.raises(ValueError, match="character 1 is half"):
        subwords.encode("a\ud800")


def test_decode_stops_at_the_end_and_skips_padding():
    encoder = text_encoder.ByteTextEncoder()

    assert encoder.decode([0, 99, 0, 100, 1, 101, 0]) == "ab"


def test_bytes_are_offset_by_the_reserved_ids():
    assert text_encoder.ByteTextEncoder().encode("a\u00e9") == [99, 0xC3 + 2, 0xA9 + 2]


def test_bytes_that_are_not_utf8_do_not_raise():
    assert text_encoder.ByteTextEncoder().decode([0xC3 + 2]) == "\ufffd"


def test_class_labels_map_both_ways():
    encoder = text_encoder.ClassLabelEncoder(["cat", "dog"])

    assert encoder.encode("dog") == [1]
    assert encoder.decode([1]) == "dog"
    with pytest.raises(ValueError, match="There are: cat, dog"):
        encoder.encode("cow")


def test_a_changed_file_is_loaded_again(tmp_path):
    path = tmp_path / "vocab"
    path.write_bytes(text_encoder.build_subwords(["abc"], 300))
    before = text_encoder.load_subword_encoder(str(path))
    path.write_bytes(text_encoder.build_subwords(["defgh ijkl"], 300))

    assert text_encoder.load_subword_encoder(str(path)).sha256 != before.sha256


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "   ",
        "one",
        " one  two   ",
        "tab\tnew\nline\r\n",
        "no-break\u00a0space and \u2028",
        "symbol \u2581 and \u001a",
        "caf\u00e9 cafe\u0301 \U0001f600 12 345",
    ],
)
def test_ids_of_words_are_those_of_the_whole_text(text):
    texts = ["one two three", "one two  tab\tnew", "caf\u00e9 12 345"] * 3
    encoder = text_encoder.SubwordTextEncoder(text_encoder.build_subwords(texts, 300))
    escaped = text.replace("\u001a", "\u001a0").replace("\u2581", "\u001a1")

    expected = encoder._processor.encode(escaped)

    assert encoder.encode(text) == expected
    assert encoder.encode(text) == expected  # the second time from memory
    assert encoder.decode(expected) == text


def test_long_words_are_encoded_and_not_remembered(subwords):
    word = "ab" * 1000

    ids = subwords.encode(f"{word} {word}")

    assert subwords.decode(ids) == f"{word} {word}"
    assert word not in subwords._first_words
    assert word not in subwords._other_words


def test_a_vocabulary_with_subwords_across_spaces_is_used_as_it_is():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["of the people by the people for the people"] * 20),
        model_writer=model,
        vocab_size=60,
        model_type="bpe",
        split_by_whitespace=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    encoder = text_encoder.SubwordTextEncoder(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())

    text = "by the people"

    assert encoder.encode(text) == processor.encode(text)
    assert "\u2581the\u2581people" in processor.encode(text, out_type=str)[-1]
