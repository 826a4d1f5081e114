import pytest
import speech_corpora

from t2t_mm import problem, registry
from t2t_mm.data import sphere
from t2t_mm.features import Split
from t2t_mm.problems import wsj_discs


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "discs"
    speech_corpora.write_wsj(folder)
    return folder


def samples(root, split, name="wsj_speech"):
    made = registry.problem(name)
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


def names(found):
    good = [sample for sample in found if isinstance(sample, dict)]
    return [sample["name"].split("/")[-1].split(".")[0] for sample in good]


def test_training_is_both_halves_and_dev_and_test_are_as_published(root):
    wsj0 = [f"011c020{n}" for n in range(1, 6)]
    wsj1 = [f"4000101{n}" for n in range(1, 4)]

    assert names(samples(root, Split.TRAIN)) == wsj0 + wsj1
    assert names(samples(root, Split.TRAIN, "wsj_speech_si84")) == wsj0
    for name in ("wsj_speech", "wsj_speech_si84"):
        dev, test = samples(root, Split.EVAL, name), samples(root, Split.TEST, name)
        assert names(dev) == [f"4k0c030{n}" for n in range(1, 5)]
        assert names(test) == [f"440c040{n}" for n in range(1, 5)]


def test_a_sample_is_a_path_and_what_is_said(root):
    sample = samples(root, Split.TRAIN)[0]

    assert sample["inputs"] == root / "11-1.1/wsj0/si_tr_s/011/011c0201.wv1"
    assert sample["targets"] == "the number is 011c0201 period"
    assert registry.problem("wsj_speech").encode(sample, "")["inputs"]


def test_the_speaker_who_is_there_twice_is_left_out(root):
    (rejected,) = (
        sample
        for sample in samples(root, Split.TRAIN)
        if isinstance(sample, problem.Rejected)
    )

    assert rejected == problem.Rejected(
        name="wsj0/si_tr_s/401/401c0201.wv1",
        reason="a speaker who is there twice",
        harmless=True,
    )


def test_a_list_without_endings_means_the_first_microphone(root):
    assert samples(root, Split.TEST)[0]["inputs"].name == "440c0401.wv1"


@pytest.mark.parametrize("version", ["", ";1"])
def test_copies_with_capitals_are_read(version, tmp_path):
    def rename(name):
        return "/".join(
            part.upper() + (version if "." in part else "") for part in name.split("/")
        )

    speech_corpora.write_wsj(tmp_path, rename=rename)

    found = samples(tmp_path, Split.TRAIN)
    assert len(names(found)) == 8
    assert found[0]["targets"] == "the number is 011c0201 period"


def test_discs_may_lie_deeper_or_all_in_one_folder(root, tmp_path):
    deep, merged = tmp_path / "deep", tmp_path / "merged"
    (deep / "csr_1").mkdir(parents=True)
    for number, disc in enumerate(sorted(root.iterdir())):
        for half in disc.iterdir():
            for file in half.rglob("*.*"):
                name = file.relative_to(disc)
                speech_corpora.write(merged / name, file.read_bytes())
        disc.rename(deep / ("csr_1" if number % 2 else "") / disc.name)

    for folder in (deep, merged):
        assert len(names(samples(folder, Split.TRAIN))) == 8
        assert len(names(samples(folder, Split.EVAL))) == 4


def test_missing_discs_are_named_with_those_that_are_there(root):
    (root / "11-1.1").rename(root / "11-77.1")

    with pytest.raises(FileNotFoundError) as caught:
        samples(root, Split.TRAIN)

    message = str(caught.value)
    assert message.startswith(
        "wsj_speech lacks the discs 11-1.1; it has 11-13.1, 11-14.1, 11-2.1, 11-77.1, "
        "13-1.1, 13-16.1, 13-34.1."
    )
    assert "LDC93S6A" in message
    assert "--problem=librispeech or --problem=mini_speech" in message


def test_a_folder_without_discs_is_answered_by_a_page_of_help(tmp_path):
    (tmp_path / "wsj.iso").touch()

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path, Split.EVAL)

    message = str(caught.value)
    assert "lacks the discs 13-34.1; it has none" in message
    assert f"'{tmp_path}' holds wsj.iso" in message
    assert "11-1.1/wsj0/... to 11-15.1" in message


def test_a_missing_list_is_named(root):
    (root / "13-34.1/wsj1/doc/indices/h1_p0.ndx").unlink()

    with pytest.raises(FileNotFoundError, match="13-34.1 must have the list 'wsj1/doc"):
        samples(root, Split.EVAL)


def test_missing_files_and_texts_are_counted_by_name(root):
    (root / "13-16.1/wsj1/si_dt_20/4k0/4k0c0302.wv1").unlink()
    dot_file = root / "13-16.1/wsj1/si_dt_20/4k0/4k0c0300.dot"
    lines = dot_file.read_text().split("\n")
    dot_file.write_text("\n".join([*lines[:2], "[cough] (4k0c0303)"]))

    _, *rejected = samples(root, Split.EVAL)

    assert [(r.name.split("/")[-1], r.reason, r.harmless) for r in rejected] == [
        ("4k0c0302.wv1", "its sound file is missing", False),
        ("4k0c0303.wv1", "nothing is said", True),
        ("4k0c0304.wv1", "its transcript is missing", False),
    ]


def test_compressed_files_say_at_once_which_program_they_need(root, monkeypatch):
    for path in root.rglob("*.wv1"):
        samples_ = speech_corpora.pcm(speech_corpora.tone())
        coding = "pcm,embedded-shorten-v2.00"
        path.write_bytes(speech_corpora.sphere(samples_, sample_coding=coding))
    monkeypatch.setattr(sphere, "DECOMPRESSORS", {"no-such-program": ()})

    with pytest.raises(FileNotFoundError, match="compressed with shorten need the"):
        samples(root, Split.TRAIN)


def test_said_punctuation_is_a_choice_that_remakes_the_records(root):
    class Plain(type(registry.problem("wsj_speech"))):
        name = "plain"
        punctuation = "drop"

    plain = Plain()
    plain.corpus_path = str(root)

    (first, *_) = plain.generate_samples("", "", Split.EVAL)
    assert first["targets"] == "the number is 4k0c0301"
    other = registry.problem("wsj_speech").generation_settings()
    assert plain.generation_settings() != other


def test_lines_of_lists_have_discs_in_several_spellings():
    content = ";; comment\n11_1_1:wsj0/a.wv1\n11-2.1: /wsj0/b.wv1 \n\n"

    assert list(wsj_discs.parse_list(content)) == [
        ("11-1.1", "wsj0/a.wv1"),
        ("11-2.1", "wsj0/b.wv1"),
    ]


@pytest.mark.parametrize("line", ["wsj0/a.wv1", "12_1:wsj0/a.wv1", "11_1_1:"])
def test_a_strange_line_of_a_list_is_shown(line):
    with pytest.raises(ValueError, match=f"got '{line}'"):
        list(wsj_discs.parse_list(line))
