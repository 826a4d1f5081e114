"""Whether the graph being traced will be compiled by XLA.

A few layers have two forms of equal value: one is fast op by op, the other is what XLA
compiles well (or at all, where shapes must be static). The trainer and the decoder say
which world they trace for.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

_FOR_XLA: contextvars.ContextVar[bool] = contextvars.ContextVar("xla", default=False)
_PLATFORM: contextvars.ContextVar[str] = contextvars.ContextVar("platform", default="")
_FOR_SIZES: contextvars.ContextVar[bool] = contextvars.ContextVar("size", default=False)


@contextlib.contextmanager
def tracing_for_xla(enabled: bool = True) -> Iterator[None]:
    """Makes layers that are traced inside the context choose their form for XLA."""
    token = _FOR_XLA.set(enabled)
    try:
        yield
    finally:
        _FOR_XLA.reset(token)


def is_for_xla() -> bool:
    """Returns whether layers should choose their form for XLA."""
    return _FOR_XLA.get()


@contextlib.contextmanager
def compiling_elsewhere(platform: str) -> Iterator[None]:
    """Says where the program will run, if not on a device that TensorFlow sees here.

    Args:
      platform: "CPU", "GPU" or "TPU".
    """
    token = _PLATFORM.set(platform)
    try:
        yield
    finally:
        _PLATFORM.reset(token)


def is_for_accelerator() -> bool:
    """Returns whether layers should choose their form for XLA on a GPU or TPU."""
    if not is_for_xla():
        return False
    if platform := _PLATFORM.get():
        return platform != "CPU"
    return has_accelerator()


def has_accelerator() -> bool:
    """Returns whether TensorFlow sees a GPU or TPU here."""
    return any(tf.config.list_logical_devices(kind) for kind in ("GPU", "TPU"))


@contextlib.contextmanager
def tracing_for_sizes() -> Iterator[None]:
    """Makes shapes that depend on data as large as they are meant to become.

    Graphs traced inside the context are looked at, not run.
    """
    token = _FOR_SIZES.set(True)
    try:
        yield
    finally:
        _FOR_SIZES.reset(token)


def needs_static_shapes() -> bool:
    """Returns whether shapes must follow from those of the features alone."""
    return _FOR_XLA.get() or _FOR_SIZES.get()
