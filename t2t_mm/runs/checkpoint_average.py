"""The mean of checkpoints of a run, as a run folder of its own.

Weights, and moving averages of weights, are averaged; everything else, such as slots,
counters and the step, is that of the newest checkpoint. So the decoder reads it, and
the trainer goes on from it. No model is built: only names in the files count.
"""

import time
from collections.abc import Sequence

import numpy as np
from etils import epy

from t2t_mm.runs import checkpoint_files, run_folder

with epy.lazy_imports():
    import tensorflow as tf

_AVERAGED = ("model/", "average/")


def write(checkpoints: Sequence[str], description_dir: str, average_dir: str) -> str:
    """Writes a run folder with the mean of checkpoints; returns the prefix of it.

    Args:
      checkpoints: their prefixes.
      description_dir: folder of a run with their configuration and vocabularies.
      average_dir: folder to write; made if need be.

    Raises:
      FileExistsError: if that folder has checkpoints already.
      OSError: if a checkpoint is damaged, or there is no room.
      ValueError: if the checkpoints do not have the same variables.
    """
    if checkpoint_files.are_in(average_dir):
        raise FileExistsError(
            f"'{average_dir}' has checkpoints already. Choose a folder that has none."
        )
    ordered = sorted(checkpoints, key=checkpoint_files.step_of)
    step = checkpoint_files.step_of(ordered[-1])
    path = checkpoint_files.prefix(average_dir, step)
    try:
        tensors = mean(ordered)
        run_folder.write(run_folder.read(description_dir), average_dir, description_dir)
        _save(path, tensors)
    except (IndexError, tf.errors.OpError) as error:
        reason = " ".join(getattr(error, "message", str(error)).split())
        raise OSError(f"The mean cannot be made: {reason}") from error
    listed = [checkpoint_files.Listed(step=step, time=time.time())]
    checkpoint_files.write_list(
        average_dir, checkpoint_files.CheckpointList(listed=listed)
    )
    return path


def mean(checkpoints: Sequence[str]) -> "dict[str, tf.Tensor]":
    """Returns the tensors of the mean of checkpoints, by key.

    Args:
      checkpoints: their prefixes; the last one gives what cannot be averaged.

    Raises:
      ValueError: if they do not have the same variables.
    """
    readers = [tf.train.load_checkpoint(path) for path in checkpoints]
    shapes = [reader.get_variable_to_shape_map() for reader in readers]
    for path, found in zip(checkpoints, shapes, strict=True):
        if found != shapes[-1]:
            names = sorted(
                key
                for key in found.keys() | shapes[-1].keys()
                if found.get(key) != shapes[-1].get(key)
            )
            raise ValueError(
                f"Only checkpoints with the same variables have a mean; '{path}' and "
                f"'{checkpoints[-1]}' differ in {len(names)}, such as '{names[0]}'."
            )
    return {key: _mean_of(key, readers) for key in shapes[-1]}


def _mean_of(key: str, readers: "Sequence[tf.train.CheckpointReader]") -> "tf.Tensor":
    newest = readers[-1].get_tensor(key)
    is_number = isinstance(newest, np.ndarray | np.floating)
    if not (is_number and key.startswith(_AVERAGED) and newest.dtype.kind == "f"):
        return tf.constant(newest)
    total = np.zeros(newest.shape, np.float64)
    for reader in readers:
        total += reader.get_tensor(key)
    return tf.constant((total / len(readers)).astype(newest.dtype))


def _save(path: str, tensors: "dict[str, tf.Tensor]") -> None:
    tf.raw_ops.SaveV2(
        prefix=path,
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
