"""How much memory there is, and how much of it is taken."""

import os
import pathlib
from typing import NamedTuple

import tensorflow as tf

_CGROUP_LIMIT = pathlib.Path("/sys/fs/cgroup/memory.max")
_CLEAR_PEAK = "5"  # what /proc/self/clear_refs takes to forget the peak
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Device(NamedTuple):
    """Where the tensors of a step are.

    Attributes:
      name: as people call it.
      num_bytes: all of its memory; None if that is not known.
    """

    name: str
    num_bytes: int | None


def device() -> Device:
    """Returns the first accelerator, or the machine if it has none."""
    accelerators = tf.config.list_logical_devices("GPU")
    if not has_accelerator():
        return Device("this machine", _machine_bytes())
    # The limit has no public name; None on devices that do not tell.
    from tensorflow.python.client import device_lib

    limits = {
        local.name: int(local.memory_limit) for local in device_lib.list_local_devices()
    }
    name = accelerators[0].name
    return Device(name.removeprefix("/device:"), limits.get(name))


def has_accelerator() -> bool:
    """Returns whether tensors are not in the memory of the machine itself."""
    return bool(tf.config.list_logical_devices("GPU"))


def _machine_bytes() -> int:
    """Returns the memory of the machine, or of the container if that is less."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        return installed
    return min(installed, int(limit)) if limit.isdigit() else installed


def reset_peak() -> None:
    """Forgets the peak so far."""
    if has_accelerator():
        tf.config.experimental.reset_memory_stats("GPU:0")
        return
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write(_CLEAR_PEAK)


def peak_bytes() -> int:
    """Returns the most memory that was taken at a time since `reset_peak`.

    On an accelerator it is that of its first device; else that of the process,
    TensorFlow and data included.
    """
    if has_accelerator():
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return process_bytes("VmHWM")


def process_bytes(field: str = "VmRSS") -> int:
    """Returns how much memory the process has, of what /proc/self/status says."""
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines[field].split()[0]) * 1024


def to_text(num_bytes: float) -> str:
    """Returns a number of bytes as "1.5 GiB"."""
    unit = 0
    while abs(num_bytes) >= 1024 and unit < len(_UNITS) - 1:
        num_bytes /= 1024
        unit += 1
    return f"{num_bytes:.{1 if unit else 0}f} {_UNITS[unit]}"
