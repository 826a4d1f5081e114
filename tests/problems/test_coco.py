import io
import json

import image_corpora
import pytest
from PIL import Image

from t2t_mm import problem, registry
from t2t_mm.data import archives, tfds_source
from t2t_mm.features import Split

GREY = "COCO_train2014_000000000009.jpg"


def samples(root, split):
    made = registry.problem("coco_captions")
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco") / "zips"
    image_corpora.write_coco_zips(folder)
    return folder


def test_every_caption_is_in_one_split(zips):
    train, dev, test = (samples(zips, split) for split in Split)

    assert len(train) + len(dev) == 30 * 5
    assert len(test) == 3 * 5
    images = [{sample["name"] for sample in part} for part in (train, dev, test)]
    assert images[0].isdisjoint(images[1])
    assert all(name.startswith("val2014/") for name in images[2])


def test_captions_of_an_image_follow_each_other_in_order(zips):
    found = [s for s in samples(zips, Split.TEST)][:6]

    assert [sample["targets"] for sample in found] == [
        *(
            f"A {thing} of colour 9."
            for thing in ("square", "picture", "wall", "field", "flag")
        ),
        "A square of colour 10.",
    ]
    assert len({sample["inputs"] for sample in found}) == 2


def test_unpacked_folders_give_the_same(zips, tmp_path):
    image_corpora.write_coco_folders(tmp_path)

    for split in Split:
        packed, unpacked = samples(zips, split), samples(tmp_path, split)
        assert len(packed) == len(unpacked)
        for one, other in zip(packed, unpacked, strict=True):
            assert one["targets"] == other["targets"]
            assert one["inputs"].read_bytes() == other["inputs"].read_bytes()


def test_annotations_may_lie_beside_the_folders(tmp_path):
    image_corpora.write_coco_folders(tmp_path)
    for name in ("train2014", "val2014"):
        file = tmp_path / "annotations" / f"captions_{name}.json"
        file.rename(tmp_path / file.name)

    assert len(samples(tmp_path, Split.TEST)) == 15


def test_a_grey_image_becomes_rgb(zips):
    made = registry.problem("coco_captions")
    image = archives.ZipMember(str(zips / "train2014.zip"), f"train2014/{GREY}")
    with Image.open(io.BytesIO(image.read_bytes())) as opened:
        assert opened.mode == "L"

    (content,) = made.encode_inputs(image, "")

    with Image.open(io.BytesIO(content)) as opened:
        assert (opened.mode, opened.size) == ("RGB", (299, 299))


def test_an_image_is_decoded_once_for_all_its_captions(zips):
    made = registry.problem("coco_captions")

    encoded = [made.encode_inputs(s["inputs"], "") for s in samples(zips, Split.TEST)]

    assert len({id(record) for record in encoded}) == 3


def test_odd_annotations_are_rejected(tmp_path):
    image_corpora.write_coco_folders(tmp_path)
    path = tmp_path / "annotations" / "captions_val2014.json"
    content = json.loads(path.read_bytes())
    content["annotations"] += [
        {"id": 1, "image_id": 9, "caption": " \n"},
        {"id": 2, "image_id": 9, "caption": None},
        {"id": 3, "image_id": 77, "caption": "Of what?"},
    ]
    path.write_text(json.dumps(content))

    found = samples(tmp_path, Split.TEST)

    rejected = [s for s in found if isinstance(s, problem.Rejected)]
    assert sorted((s.reason, s.harmless) for s in rejected) == [
        ("blank caption", True),
        ("caption of no image", False),
        ("caption that is no text", False),
    ]
    assert len(found) == 15 + 3
    assert f"{path} caption 1" in {s.name for s in rejected}


def test_a_missing_image_is_named(zips):
    image = archives.ZipMember(str(zips / "train2014.zip"), "train2014/other.jpg")

    with pytest.raises(FileNotFoundError, match="no 'train2014/other.jpg' in"):
        registry.problem("coco_captions").encode_inputs(image, "")


def test_other_json_is_refused(tmp_path):
    image_corpora.write_coco_folders(tmp_path)
    (tmp_path / "annotations" / "captions_val2014.json").write_text('{"images": []}')

    with pytest.raises(ValueError, match="must have 'images' with 'id'.*KeyError"):
        samples(tmp_path, Split.TEST)


def test_missing_annotations_are_answered_with_the_layout(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path, Split.TEST)

    assert "no 'annotations/captions_val2014.json' in" in str(caught.value)
    assert "annotations_trainval2014.zip" in str(caught.value)


def test_a_sample_of_tensorflow_datasets_is_one_for_each_caption(monkeypatch):
    asked = []

    def dataset(name, split, tmp_dir):
        asked.append((name, split))
        texts = [b"A dog. ", "Two\ndogs."]
        yield {"tfds_id": "1", "image": b"JPEG", "captions": {"text": texts}}

    monkeypatch.setattr(tfds_source, "samples", dataset)
    made = registry.problem("coco_captions")

    found = list(made.generate_samples("", "", Split.TRAIN))

    assert asked == [("coco_captions", "train+restval")]
    assert [sample["targets"] for sample in found] == ["A dog.", "Two dogs."]
    assert found[0]["inputs"] == b"JPEG"
