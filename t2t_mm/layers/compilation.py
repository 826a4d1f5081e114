"""Whether the graph being traced will be compiled by XLA.

A few layers have two forms of equal value: one is fast op by op, the other is what XLA
compiles well (or at all, where shapes must be static). The trainer and the decoder say
which world they trace for.
"""

import contextlib
import contextvars
from collections.abc import Iterator

_FOR_XLA: contextvars.ContextVar[bool] = contextvars.ContextVar("xla", default=False)
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
