import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.data import tfrecord, tfrecord_reader

FEATURES = {
    "bytes": [b"one", b"", b"three"],
    "floats": [0.5, -2.25],
    "ints": [0, 1, 300, -1, 2**40],
}


def _example():
    feature = {
        "bytes": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=FEATURES["bytes"])
        ),
        "floats": tf.train.Feature(
            float_list=tf.train.FloatList(value=FEATURES["floats"])
        ),
        "ints": tf.train.Feature(int64_list=tf.train.Int64List(value=FEATURES["ints"])),
        "nothing": tf.train.Feature(),
        "empty": tf.train.Feature(int64_list=tf.train.Int64List()),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def test_tensorflows_examples_are_read():
    found = tfrecord_reader.decode_example(_example().SerializeToString())

    assert found == {**FEATURES, "nothing": [], "empty": []}


def test_our_examples_are_read():
    features = {"a": [7, 8], "b": [b"x"], "c": [1.5]}

    payload = tfrecord.encode_example(features)

    assert tfrecord_reader.decode_example(payload) == features


def test_numbers_that_are_not_packed_are_read():
    # Old writers put a tag before each number.
    ints = b"\x08\x05\x08\xac\x02"
    floats = b"\x0d" + np.float32(1.5).tobytes() + b"\x0d" + np.float32(2).tobytes()

    def example(list_tag, values):
        feature = bytes([list_tag, len(values)]) + values
        entry = b"\x0a\x01k\x12" + bytes([len(feature)]) + feature
        entries = b"\x0a" + bytes([len(entry)]) + entry
        return b"\x0a" + bytes([len(entries)]) + entries

    assert tfrecord_reader.decode_example(example(0x1A, ints)) == {"k": [5, 300]}
    assert tfrecord_reader.decode_example(example(0x12, floats)) == {"k": [1.5, 2.0]}


@pytest.mark.parametrize("payload", [b"\x0a\x20abc", b"text", b"\xff" * 30])
def test_what_is_no_example_is_refused(payload):
    with pytest.raises(ValueError, match="no tf.train.Example"):
        tfrecord_reader.decode_example(payload)


def test_records_of_tensorflow_are_read(tmp_path):
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for payload in (b"one", b"", b"three"):
            writer.write(payload)

    assert list(tfrecord_reader.payloads(path)) == [b"one", b"", b"three"]


@pytest.mark.parametrize(
    ("damage", "position"),
    [
        (lambda content: content[:-1], 19),  # the second of two records
        (lambda content: content[:22], 19),
        (lambda content: b"\xff" * 8 + content[8:], 0),  # a size of 2**64 - 1
        (lambda content: content.replace(b"one", b"two"), 0),
    ],
)
def test_where_a_file_is_damaged_is_said(tmp_path, damage, position):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(damage(tfrecord.frame(b"one") + tfrecord.frame(b"three")))

    with pytest.raises(ValueError, match=rf"damaged at byte {position}:"):
        list(tfrecord_reader.payloads(str(path)))
