"""Outputs that are on a list, such as the labels of a task, and no others."""

from collections.abc import Sequence

import tensorflow as tf

from t2t_mm import problem as problem_lib
from t2t_mm.decoding import constraints, symbol_trie
from t2t_mm.features import EOS_ID

_START = 0  # root of the trie


class ListedConstraint(constraints.Constraint):
    """A walk through a trie of all outputs; its state is the node, `[batch]` int32."""

    def __init__(self, outputs: Sequence[Sequence[int]], vocab_size: int) -> None:
        """Makes the trie.

        Args:
          outputs: ids of each, without one that ends it.
          vocab_size: number of ids.

        Raises:
          ValueError: if two are the same, or one is empty.
        """
        self._trie = symbol_trie.build([outputs])
        self._vocab_size = vocab_size
        self._longest = max(map(len, outputs))

    def start(self, num_words: tf.Tensor, max_lengths: tf.Tensor) -> tf.Tensor:
        """Returns the state before the first position; see `Constraint.start`."""
        return tf.fill(tf.shape(max_lengths), _START)

    def least_length(self, num_words: tf.Tensor) -> tf.Tensor:
        """Returns how many ids, `[batch]` int32, there must be room for."""
        return tf.fill(tf.shape(num_words), self._longest + 1)

    def allowed(self, state: tf.Tensor) -> tf.Tensor:
        """Returns which ids may follow, `[batch, vocab_size]` bool."""
        child_ids = tf.gather(self._trie.child_ids, state)
        is_child = tf.gather(self._trie.children, state) < len(self._trie.symbols) - 1
        ends = tf.gather(self._trie.symbols, state) != symbol_trie.NO_SYMBOL
        end_ids = tf.fill([tf.shape(state)[0], 1], EOS_ID)
        return symbol_trie.mark(
            tf.concat([child_ids, end_ids], 1),
            tf.concat([is_child, ends[:, None]], 1),
            self._vocab_size,
        )

    def advance(self, state: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Returns the state after ids `[batch]`; padding and end leave it as it is."""
        child = symbol_trie.follow(self._trie, state, ids)
        return tf.where(child == symbol_trie.NOWHERE, state, child)


def of_problem(
    problem: problem_lib.Problem,
    outputs: Sequence[str],
    vocab_dir: str,
    vocab_size: int | None,
    *,
    are_sequences: bool,
) -> ListedConstraint:
    """Returns the constraint to outputs that are texts or names of classes.

    Args:
      problem: whose targets they are.
      outputs: the list.
      vocab_dir: folder of the vocabulary.
      vocab_size: number of ids; None if targets are no ids.
      are_sequences: whether an id ends them.

    Raises:
      ValueError: if one is no output of the problem, or on the list twice.
    """
    if vocab_size is None:
        raise ValueError(
            f"`allowed_outputs` lists texts or classes; outputs of {problem.name} are "
            "numbers."
        )
    ids = [problem.encode_targets(output, vocab_dir) for output in outputs]
    if are_sequences:
        ids = [each[:-1] for each in ids]
    return ListedConstraint(ids, vocab_size)
