import json

import pytest

from t2t_mm import problem, registry
from t2t_mm.features import Split


def samples(root, split):
    made = registry.problem("image_caption_folder")
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


def test_a_table_has_a_file_and_a_sentence_in_each_line(tmp_path):
    for part in ("train", "dev", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "captions.tsv").write_text(
            f"1.jpg\tThis is\u2028 for {part}.\r\nsub/2.jpg\t And this.\n",
            encoding="utf-8-sig",
            newline="",
        )

    for split in Split:
        first, second = samples(tmp_path, split)
        assert first["name"] == f"{split}/1.jpg"
        assert first["inputs"] == tmp_path / split / "1.jpg"
        assert first["targets"] == f"This is for {split}."
        assert second["name"] == f"{split}/sub/2.jpg"
        assert second["targets"] == "And this."


def test_one_table_is_dealt_to_splits_by_the_files(tmp_path):
    lines = [f"{n}.jpg\tCaption {k} of {n}.\n" for n in range(40) for k in range(2)]
    (tmp_path / "captions.tsv").write_text("".join(lines))

    parts = [samples(tmp_path, split) for split in Split]

    assert sum(map(len, parts)) == 80
    assert all(parts)
    names = [{sample["name"] for sample in part} for part in parts]
    assert sum(map(len, names)) == 40  # no file is in two of them


def test_captions_in_another_encoding_are_named(tmp_path):
    (tmp_path / "train").mkdir()
    lines = "1.jpg\tA café.\n".encode() + "2.jpg\tA café.\n".encode("latin-1")
    (tmp_path / "train" / "captions.tsv").write_bytes(lines)

    good, bad = samples(tmp_path, Split.TRAIN)

    assert good["targets"] == "A café."
    assert bad.name.endswith("captions.tsv line 2")
    assert (bad.reason, bad.harmless) == ("not UTF-8", False)


def test_json_like_cocos_is_read(tmp_path):
    (tmp_path / "train").mkdir()
    content = {
        "images": [
            {"id": "b", "file_name": "2.png"},
            {"id": "a", "file_name": "1.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": "b", "caption": "Two."},
            {"id": 2, "image_id": "a", "caption": "One.\n"},
        ],
    }
    for part in ("train", "dev"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "captions.json").write_text(json.dumps(content))

    assert [(s["name"], s["targets"]) for s in samples(tmp_path, Split.EVAL)] == [
        ("dev/1.png", "One."),
        ("dev/2.png", "Two."),
    ]


def test_odd_lines_are_rejected(tmp_path):
    (tmp_path / "train").mkdir()
    lines = "\n1.jpg only\n2.jpg\t \n3.jpg\ta\tb\n"
    (tmp_path / "train" / "captions.tsv").write_text(lines)
    (tmp_path / "dev").mkdir()
    (tmp_path / "test").mkdir()

    *rejected, sample = samples(tmp_path, Split.TRAIN)

    assert [(s.reason, s.harmless) for s in rejected] == [
        ("blank line", True),
        ("line without a tab", False),
        ("blank caption", True),
    ]
    assert rejected[1].name.endswith("captions.tsv line 2")
    assert isinstance(rejected[0], problem.Rejected)
    assert sample["targets"] == "a b"


def test_a_folder_without_captions_is_answered_with_the_layout(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"no captions.tsv and no captions.json"
    ):
        samples(tmp_path, Split.TRAIN)
