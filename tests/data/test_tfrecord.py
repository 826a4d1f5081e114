import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.data import tfrecord

INTS = [0, 1, 127, 128, 300, 2**14 - 1, 2**14, 2**31, 2**63 - 1, -1, -(2**63)]


def test_tensorflow_parses_what_is_written(tmp_path):
    features = {"ints": INTS, "floats": [0.5, -1e30], "bytes": [b"", b"\0\xff"]}
    payload = tfrecord.encode_example(features)

    example = tf.train.Example.FromString(payload)

    assert list(example.features.feature["ints"].int64_list.value) == INTS
    assert list(example.features.feature["bytes"].bytes_list.value) == [b"", b"\0\xff"]
    np.testing.assert_array_equal(
        example.features.feature["floats"].float_list.value,
        np.array([0.5, -1e30], np.float32),
    )


def test_tensorflow_reads_the_framing(tmp_path):
    payloads = [b"", b"x", b"y" * 100_000]
    path = tmp_path / "records"
    path.write_bytes(b"".join(map(tfrecord.frame, payloads)))

    read = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]

    assert read == payloads


def test_framing_equals_that_of_tensorflow(tmp_path):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"some bytes")

    assert path.read_bytes() == tfrecord.frame(b"some bytes")


def test_unframe_inverts_frame():
    framed = tfrecord.frame(b"some bytes")

    assert tfrecord.unframe(framed) == b"some bytes"
    assert len(framed) == tfrecord.framed_bytes(10)


@pytest.mark.parametrize("position", [0, 9, 12, 21, 25])
def test_a_flipped_bit_anywhere_is_noticed(position):
    framed = bytearray(tfrecord.frame(b"some bytes"))
    framed[position] ^= 4

    with pytest.raises(ValueError):
        tfrecord.unframe(bytes(framed))


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="'inputs'"):
        tfrecord.encode_example({"inputs": []})


def test_a_str_is_refused():
    with pytest.raises(ValueError, match="got str"):
        tfrecord.encode_example({"inputs": ["text"]})


def test_records_do_not_depend_on_the_order_of_features():
    first = tfrecord.encode_example({"a": [1], "b": [2]})

    assert first == tfrecord.encode_example({"b": [2], "a": [1]})
