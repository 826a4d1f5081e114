"""A search as programs: one graph for all shapes, or a program of XLA for a shape.

XLA makes of a step's hundreds of small operations a few dozen, and decodes two to three
times as fast on two CPU cores; but it takes seconds to compile a shape. So a shape is
compiled once it has come up often. The encoder stays in the plain graph: its large
products gain nothing.
"""

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

import tensorflow as tf
from absl import logging

from t2t_mm.decoding.searcher import Found, Searcher
from t2t_mm.layers import compilation
from t2t_mm.modality import Embedded

BATCHES_BEFORE_COMPILING = 8  # of a shape; about what compiling it takes
MAX_PROGRAMS = 16  # further shapes stay in the plain graph


class CompiledSearch:
    """Finds outputs of batches; safe to use from several threads."""

    def __init__(self, search: Searcher, name: str, jit_compile: bool | None) -> None:
        """Takes a search.

        Args:
          search: what to run.
          name: of the problem, for the log.
          jit_compile: compile every shape with XLA, or none; None for those that come
            up often, where the search can be compiled and is faster then.
        """
        reason = search.why_not_compiled()
        if jit_compile and reason:
            logging.warning(
                "jit_compile | %s is decoded without XLA: %s.", name, reason
            )
        self._search = search
        self._name = name
        self._batches_before = 0 if jit_compile else BATCHES_BEFORE_COMPILING
        is_wanted = search.gains_from_xla() if jit_compile is None else jit_compile
        self._can_compile = reason is None and is_wanted
        self._lock = threading.Lock()
        self._counts: dict[Hashable, int] = {}
        self._programs: dict[Hashable, Callable[..., Found]] = {}
        rows = tf.TensorSpec([None], tf.bool)
        signature = search.signature()
        self._plain = tf.function(
            search.__call__, input_signature=[signature, rows], autograph=False
        )
        self._encode = tf.function(
            search.encode, input_signature=[signature], autograph=False
        )

    @property
    def num_programs(self) -> int:
        """How many shapes XLA has compiled."""
        return len(self._programs)

    def __call__(
        self, features: Mapping[str, tf.Tensor], is_filler: tf.Tensor
    ) -> Found | tf.Tensor:
        """Returns outputs; the arguments and the result are those of the search."""
        return self.choose(features)(features, is_filler)

    def choose(
        self, features: Mapping[str, tf.Tensor]
    ) -> Callable[..., Found | tf.Tensor]:
        """Returns what searches a batch of this shape next; called like `self`.

        Whether that is a program depends on how often the shape was asked for. Threads
        that share batches ask in the order of the batches, so that each is searched in
        the same way in every run: the two ways differ in last bits.
        """
        shape = tuple(tuple(features[name].shape) for name in sorted(features))
        program = self._program(shape)
        if program is None:
            return self._plain

        def search(
            features: Mapping[str, tf.Tensor], is_filler: tf.Tensor
        ) -> Found | tf.Tensor:
            encoded = self._encode(features)
            rest = {
                name: value
                for name, value in features.items()
                if not name.startswith("inputs")
            }
            return program(rest, encoded, is_filler)

        return search

    def _program(self, shape: Hashable) -> Callable[..., Found] | None:
        """Returns the program of a shape, if it is worth one."""
        if not self._can_compile:
            return None
        with self._lock:
            self._counts[shape] = self._counts.get(shape, 0) + 1
            if shape in self._programs:
                return self._programs[shape]
            if self._counts[shape] <= self._batches_before:
                return None
            if len(self._programs) >= MAX_PROGRAMS:
                logging.log_first_n(
                    logging.INFO,
                    "jit_compile | more than %d shapes; others stay in the plain graph",
                    1,
                    MAX_PROGRAMS,
                )
                return None
            self._programs[shape] = self._compile()
            return self._programs[shape]

    def _compile(self) -> Callable[..., Found]:
        """Returns a function that XLA compiles when it is called."""

        def search(
            features: Mapping[str, tf.Tensor],
            encoded: Sequence[Embedded],
            is_filler: tf.Tensor,
        ) -> Found:
            start = time.monotonic()
            with compilation.tracing_for_xla():
                found = self._search.search(features, encoded, is_filler)
            logging.info(
                "jit_compile | %s | program %d, traced in %.1f s",
                self._name,
                len(self._programs),
                time.monotonic() - start,
            )
            return found

        return tf.function(search, jit_compile=True, autograph=False)
