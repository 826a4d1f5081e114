"""The shapes of features in batches."""

from collections.abc import Mapping

import tensorflow as tf

from t2t_mm.data.bucketing import Bucket


def in_bucket(
    signature: Mapping[str, tf.TensorSpec], bucket: Bucket
) -> dict[str, tf.TensorShape]:
    """Returns the shapes of features in batches of a bucket, by name.

    Args:
      signature: types of the features, from `Model.signature`.
      bucket: shape of the batches.
    """
    return {name: _shape(name, spec, bucket) for name, spec in signature.items()}


def _shape(feature: str, spec: tf.TensorSpec, bucket: Bucket) -> tf.TensorShape:
    shape = spec.shape.as_list()
    if shape:
        shape[0] = bucket.batch_size
    if len(shape) > 1 and shape[1] is None:
        shape[1] = bucket.padded_lengths[feature]
    return tf.TensorShape(shape)
