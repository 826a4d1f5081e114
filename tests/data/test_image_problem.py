import io

import numpy as np
import pytest
from PIL import Image

from t2t_mm import hparam
from t2t_mm.data import encoding, generation, image_problem, pipeline
from t2t_mm.features import Split


def _image(seed):
    return np.random.default_rng(seed).integers(0, 256, (5, 7, 3)).astype(np.uint8)


class _Pictures(image_problem.Image2ClassProblem):
    name = "pictures"
    image_shape = (5, 7, 3)
    num_classes = 11

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for seed in range(11):
            yield {"inputs": _image(seed), "label": seed}


class _OldStyle(image_problem.Image2ClassProblem):
    name = "old_style"
    image_shape = (5, 7, 3)
    num_classes = 2
    train_shards = 1

    def generator(self, data_dir, tmp_dir, is_training):
        yield {
            "image/encoded": [image_problem.encode_png(_image(int(is_training)))],
            "image/format": ["png"],
            "image/class/label": [int(is_training)],
        }


class _Captions(image_problem.Image2TextProblem):
    name = "captions"
    image_shape = (5, 7, 3)
    vocab_type = "byte"

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for seed in range(4):
            yield {"inputs": _image(seed), "targets": "words " * seed}


def _batches(problem, folder, split=Split.EVAL):
    folder = str(folder)
    generation.generate(problem, folder, folder)
    hparams = hparam.HParams(batch_examples=4)
    return list(pipeline.eval_dataset(problem, split, folder, hparams))


def test_images_come_back_pixel_by_pixel(tmp_path):
    batches = _batches(_Pictures(), tmp_path)

    labels = []
    for batch in batches:
        assert batch["inputs"].shape == (4, 5, 7, 3)
        for row in range(4):
            if batch["inputs_length"][row]:
                assert batch["inputs_length"][row] == 1
                label = int(batch["targets"][row, 0])
                labels.append(label)
                np.testing.assert_array_equal(batch["inputs"][row], _image(label))
    assert sorted(labels) == list(range(11))


class _Photographs(_Pictures):
    name = "photographs"
    image_shape = (60, 90, 3)

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for label in range(11):
            image = np.full((120, 180, 3), 20 * label, np.uint8)
            content = io.BytesIO()
            Image.fromarray(image).save(content, "JPEG")
            yield {"inputs": content.getvalue(), "label": label}
            yield {"inputs": image, "label": label}


def test_large_images_come_back_from_jpeg(tmp_path):
    batches = _batches(_Photographs(), tmp_path)

    for batch in batches:
        for image in batch["inputs"].numpy():
            assert image.shape == (60, 90, 3)
            grey = 20 * round(image.mean() / 20)
            assert np.abs(image.astype(int) - grey).max() <= 2


def test_fillers_are_black(tmp_path):
    batches = _batches(_Pictures(), tmp_path)

    fillers = [
        b["inputs"][r] for b in batches for r in range(4) if not b["inputs_length"][r]
    ]
    assert len(fillers) == 1
    assert not fillers[0].numpy().any()


def test_tensor2tensors_generator_works(tmp_path):
    (train,) = _batches(_OldStyle(), tmp_path, Split.TRAIN)

    np.testing.assert_array_equal(train["inputs"][0], _image(1))
    assert [part["split"] for part in _OldStyle().dataset_splits] == ["train", "dev"]


@pytest.mark.parametrize(("small", "side"), [(True, 32), (False, 299)])
def test_images_of_tensor2tensor_have_its_two_sizes(small, side):
    class Sized(image_problem.Image2ClassProblem):
        num_classes = 2
        is_small = small

    assert Sized().image_shape == (side, side, 3)


def test_class_labels_may_be_a_property_as_in_tensor2tensor():
    class Named(image_problem.Image2ClassProblem):
        name = "named"
        num_classes = 2

        @property
        def class_labels(self):
            return ["cat", "dog"]

    assert list(Named().class_labels("")) == ["cat", "dog"]
    assert Named().encode_targets("dog", "") == [1]
    assert Named().decode_targets([0], "") == "cat"


def test_captions_are_bucketed_by_their_length_only(tmp_path):
    batches = _batches(_Captions(), tmp_path)

    assert {batch["inputs"].shape[1:] for batch in batches} == {(5, 7, 3)}
    lengths = [n for b in batches for n in b["targets_length"].numpy() if n]
    assert sorted(lengths) == [1, 7, 13, 19]


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (_image(0).transpose(2, 0, 1), r"got uint8 of shape \[3, 5, 7\]"),
        (_image(0).astype(np.float32), r"got float32 of shape \[5, 7, 3\]"),
        (_image(0)[:, :, 0], r"got uint8 of shape \[5, 7\]"),
        (_image(0)[:0], r"must have pixels; got \[0, 7, 3\]"),
    ],
)
def test_an_array_that_is_no_image_is_refused(array, complaint):
    with pytest.raises(ValueError, match=complaint):
        _Pictures().encode_inputs(array, "")


def test_a_file_of_another_size_is_resized():
    content = io.BytesIO()
    Image.fromarray(np.full((9, 9, 3), 200, np.uint8)).save(content, "JPEG")

    (encoded,) = _Pictures().encode_inputs(content.getvalue(), "")

    with Image.open(io.BytesIO(encoded)) as image:
        assert image.size == (7, 5)
        assert abs(int(np.asarray(image)[2, 3, 1]) - 200) < 4


def test_a_file_that_fits_is_kept_as_it_is():
    content = image_problem.encode_png(_image(3))

    assert _Pictures().encode_inputs(content, "") == [content]


def test_grey_images_have_one_channel():
    class Grey(_Pictures):
        image_shape = (5, 7, 1)

    image = _image(0)[:, :, :1]
    (content,) = Grey().encode_inputs(image, "")

    np.testing.assert_array_equal(Grey().encode_inputs(image, ""), [content])
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.mode == "L"


def test_a_path_is_read_for_decoding(tmp_path, hparams):
    path = tmp_path / "image.png"
    path.write_bytes(image_problem.encode_png(_image(5)))
    image = _Pictures().read_input(f"{path}\n")

    (batch,) = encoding.encode_batch(_Pictures(), [image], "", hparams)

    np.testing.assert_array_equal(batch.features["inputs"][0], _image(5))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        _Pictures().read_input(str(tmp_path / "nothing.png"))


def test_a_problem_without_samples_says_what_to_define():
    class Empty(image_problem.Image2ClassProblem):
        name = "empty"
        num_classes = 2

    with pytest.raises(NotImplementedError, match="`generate_samples` or `generator`"):
        list(Empty().generate_samples("", "", Split.TRAIN))
