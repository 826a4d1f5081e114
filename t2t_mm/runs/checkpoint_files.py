"""The files of checkpoints in a folder, and which of them are whole.

    checkpoint                    lists the checkpoints that were written to their end
    ckpt-1000.index               of step 1000: names, shapes and check sums
    ckpt-1000.data-00000-of-00001 of step 1000: the numbers

The list is in TensorFlow's format, so TensorFlow's own tools find the newest one. It is
changed after a checkpoint has been written and before another is deleted, at one stroke
each time: whenever a program dies, what is listed is whole.
"""

import contextlib
import dataclasses
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence

from absl import logging

LIST_FILE = "checkpoint"
_NAME = "ckpt"
_INDEX = re.compile(rf"{_NAME}-(\d+)\.index")
_PATH = re.compile(rf"(?:.*/)?{_NAME}-(\d+)")
_UNFINISHED = (f"{_NAME}-*_temp", f"{_NAME}-*.tempstate*")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed:
    """A checkpoint that was written to its end.

    Attributes:
      step: number of updates.
      time: when it was written, in seconds since 1970.
    """

    step: int
    time: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckpointList:
    """What the list of a folder says.

    Attributes:
      listed: from old to new.
      preserved_time: those up to this time, in seconds since 1970, are kept for good.
    """

    listed: Sequence[Listed] = ()
    preserved_time: float = 0.0


def prefix(folder: str, step: int) -> str:
    """Returns the path that the names of a checkpoint's files begin with."""
    return os.path.join(folder, f"{_NAME}-{step}")


def step_of(path: str) -> int:
    """Returns the step in the name of a checkpoint.

    Raises:
      ValueError: if the name is another.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise ValueError(
            f"The name of a checkpoint must end as '{_NAME}-1000' does; got '{path}'."
        )
    return int(match[1])


def read_list(folder: str) -> CheckpointList:
    """Returns the list of a folder; an empty one if there is none, or a damaged one."""
    try:
        with open(os.path.join(folder, LIST_FILE), encoding="utf-8") as file:
            lines = [line.partition(": ")[::2] for line in file.read().splitlines()]
    except (FileNotFoundError, UnicodeDecodeError):
        return CheckpointList()
    try:
        paths = [v for k, v in lines if k == "all_model_checkpoint_paths"]
        steps = [step_of(path.strip('"')) for path in paths]
        times = [float(v) for k, v in lines if k == "all_model_checkpoint_timestamps"]
        preserved = [float(v) for k, v in lines if k == "last_preserved_timestamp"]
    except ValueError:
        return CheckpointList()
    if len(times) != len(steps):
        return CheckpointList()
    return CheckpointList(
        listed=[Listed(step=s, time=t) for s, t in zip(steps, times, strict=True)],
        preserved_time=(preserved or [0.0])[0],
    )


def write_list(folder: str, checkpoints: CheckpointList) -> None:
    """Writes the list of a folder, whole or not at all."""
    lines = [f'model_checkpoint_path: "{_NAME}-{checkpoints.listed[-1].step}"']
    for entry in checkpoints.listed:
        lines.append(f'all_model_checkpoint_paths: "{_NAME}-{entry.step}"')
    for entry in checkpoints.listed:
        lines.append(f"all_model_checkpoint_timestamps: {entry.time!r}")
    lines.append(f"last_preserved_timestamp: {checkpoints.preserved_time!r}")
    replace_file(os.path.join(folder, LIST_FILE), "\n".join(lines) + "\n")


def replace_file(path: str, text: str) -> None:
    """Writes a file that is whole or not there, also after a loss of power."""
    partial = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def files(path: str) -> list[str]:
    """Returns the files of the checkpoint with the prefix `path`."""
    escaped = glob.escape(path)
    return sorted(
        glob.glob(f"{escaped}.index") + glob.glob(f"{escaped}.data-?????-of-?????")
    )


def fingerprint(path: str) -> str:
    """Returns what no other checkpoint has: a hash of its names, shapes and sums.

    Raises:
      FileNotFoundError: if there is no checkpoint with the prefix `path`.
    """
    with open(f"{path}.index", "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def link(source: str, target: str) -> None:
    """Gives a file a second name; copies it where the file system knows no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        sync(target)


def sync(path: str) -> None:
    """Waits until a file would survive a power cut."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def delete(path: str) -> None:
    """Deletes the files of a checkpoint; some or all may be gone already."""
    for file in files(path):
        try:
            os.remove(file)
        except FileNotFoundError:
            continue


def delete_unfinished(folder: str) -> None:
    """Deletes what a program left that died while it wrote a checkpoint."""
    for pattern in _UNFINISHED:
        for path in glob.glob(os.path.join(glob.escape(folder), pattern)):
            if os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):  # another worker was first
                    os.remove(path)


def steps_on_disk(folder: str) -> list[int]:
    """Returns the steps of which there are files, whole or not, from old to new."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(int(m[1]) for name in names if (m := _INDEX.fullmatch(name)))


def are_in(folder: str) -> bool:
    """Returns whether a folder has, or had, checkpoints."""
    has_list = os.path.exists(os.path.join(folder, LIST_FILE))
    return has_list or bool(steps_on_disk(folder))


def candidates(folder: str) -> list[str]:
    """Returns the prefixes of checkpoints that may be whole, the best choice first.

    These are the listed ones from new to old, then older ones that have files. One that
    is newer than all of the list was not written to its end. Without a list that can be
    read, any that has files may be whole.

    Raises:
      FileNotFoundError: if the folder has a list, but no files.
    """
    on_disk = steps_on_disk(folder)
    listed = [entry.step for entry in read_list(folder).listed]
    if are_in(folder) and not on_disk:
        raise FileNotFoundError(
            f"'{os.path.join(folder, LIST_FILE)}' lists checkpoints "
            f"({', '.join(map(str, listed)) or 'it cannot be read'}), but the folder "
            "has no files of any. Put them back, or delete the list to start again "
            "from nothing."
        )
    if not set(listed) & set(on_disk):
        if on_disk:
            logging.warning(
                "'%s' has checkpoints, but no '%s' that names any of them; the newest "
                "that is whole counts.",
                folder,
                LIST_FILE,
            )
        return [prefix(folder, step) for step in reversed(on_disk)]
    named = [step for step in reversed(listed) if step in on_disk]
    for step in listed:
        if step not in on_disk:
            logging.warning("The files of '%s' are missing.", prefix(folder, step))
    older = [s for s in reversed(on_disk) if s < named[0] and s not in named]
    return [prefix(folder, step) for step in (*named, *older)]


def first_whole(folder: str, read: Callable[[str], None]) -> str | None:
    """Reads the newest checkpoint that is whole; warns about those that are not.

    Args:
      folder: of the checkpoints.
      read: reads the checkpoint with a prefix; raises what TensorFlow does if it is
        damaged, and anything else if it is whole but cannot be used.

    Returns:
      Its prefix; None if the folder has no checkpoints.

    Raises:
      OSError: if there are some, but none is whole.
    """
    paths = candidates(folder)
    for path in paths:
        reason = damage(path, read)
        if reason is None:
            return path
        logging.warning("'%s' is damaged and was left out: %s", path, reason)
    if not paths:
        return None
    raise OSError(
        f"'{folder}' has {len(paths)} checkpoints, and none of them is whole. Put back "
        "a copy of one, or choose another folder to start again from nothing."
    )


def damage(path: str, read: Callable[[str], None]) -> str | None:
    """Reads a checkpoint; returns what is damaged about it, None if nothing is.

    Args:
      path: its prefix.
      read: see `first_whole`.
    """
    import tensorflow as tf  # late: the list alone needs none

    # TensorFlow reports some damage by errors of no special kind.
    kinds = (
        tf.errors.OpError,
        tf.errors.DataLossError,
        tf.errors.NotFoundError,
        tf.errors.OutOfRangeError,
    )
    try:
        read(path)
    except tf.errors.OpError as error:
        if type(error) not in kinds:
            raise
        return " ".join(error.message.split())
    except IndexError as error:
        return " ".join(str(error).split())
    return None
