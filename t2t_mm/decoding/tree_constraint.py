"""Outputs that are trees over the words of their inputs, and nothing else.

Brackets match, a constituent holds something, there are as many tags as words, and all
of it is closed and ended before the room for it is used up. A symbol may have several
ids; the walk through them is that of `symbol_trie.py`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import problem as problem_lib
from t2t_mm.data import output_rules, trees
from t2t_mm.decoding import constraints, symbol_trie
from t2t_mm.features import EOS_ID, PAD_ID

MAX_DEPTH = 100  # of constituents in each other; real trees are below 60
_START, _LATER = 0, 1  # roots of the trie: the first symbol has no space before it
_OPENING, _TAG, _CLOSING = range(3)


class TreeState(NamedTuple):
    """What decides which ids may follow; each `[batch]` but the stack.

    All but `node` are as they were before the symbol that `node` is in or at the end
    of: whether it has ended is known only by the id that follows it.

    Attributes:
      node: int32, of the trie.
      room: int32, number of ids that may come, those of the symbol at `node` included.
      words_left: int32, words without a tag.
      depth: int32, constituents that are open.
      stack: `[batch, MAX_DEPTH]` int32, their labels from the outermost on.
      closing_ids: int32, number of ids that it takes to close them.
      is_empty: bool, whether the innermost of them holds nothing yet.
      is_whole: bool, whether the tree is complete.
    """

    node: tf.Tensor
    room: tf.Tensor
    words_left: tf.Tensor
    depth: tf.Tensor
    stack: tf.Tensor
    closing_ids: tf.Tensor
    is_empty: tf.Tensor
    is_whole: tf.Tensor


class _Symbol(NamedTuple):
    """What opens or closes a constituent, or the tag of a word.

    Attributes:
      kind: `_OPENING`, `_TAG` or `_CLOSING`.
      label: number of the label of a constituent; 0 for a tag.
      ids: how it is written.
    """

    kind: int
    label: int
    ids: list[int]


class TreeConstraint(constraints.Constraint):
    """An automaton with a stack of bounded depth."""

    reads_words = True

    def __init__(
        self,
        rule: output_rules.TreeRule,
        encode: Callable[[str], list[int]],
        vocab_size: int,
    ) -> None:
        """Looks up the ids of all symbols.

        Args:
          rule: labels and tags.
          encode: gives the ids of a text, which may begin with a space, without one
            that ends it.
          vocab_size: number of ids.

        Raises:
          ValueError: if the ids of the symbols cannot be told apart.
        """
        first = _symbols(rule, encode)
        later = _symbols(rule, lambda text: encode(f" {text}"))
        self._trie = symbol_trie.build([[s.ids for s in first], [s.ids for s in later]])
        _check_ends_are_seen(self._trie)
        self._rule = rule
        self._vocab_size = vocab_size
        closing = [len(s.ids) for s in later if s.kind == _CLOSING]
        least_tag = min(len(s.ids) for s in later if s.kind == _TAG)
        opening = [len(s.ids) for s in first if s.kind == _OPENING]
        self._least_around = min(map(sum, zip(opening, closing, strict=True)))
        self._closing_lengths = np.array(closing, np.int32)
        self._least_tag_length = least_tag
        symbols = [*first, *later]
        self._kinds = np.array([s.kind for s in symbols], np.int32)
        self._labels = np.array([s.label for s in symbols], np.int32)
        self._lengths = np.array([len(s.ids) for s in symbols], np.int32)
        # By how much fewer or more ids the tree can be finished after a symbol.
        closed = self._closing_lengths[self._labels]
        self._changes = np.choose(self._kinds, [closed, -least_tag, -closed])

    def count_words(self, text: str) -> int:
        """Returns the number of words in an input, as `start` wants it."""
        return self._rule.count_words(text)

    def least_length(self, num_words: tf.Tensor) -> tf.Tensor:
        """Returns how many ids, `[batch]` int32, there must be room for."""
        around = tf.where(num_words > 0, self._least_around, 0)
        return num_words * self._least_tag_length + around + 1

    def start(self, num_words: tf.Tensor, max_lengths: tf.Tensor) -> TreeState:
        """Returns the state before the first position; see `Constraint.start`."""
        zeros = tf.zeros_like(num_words)
        return TreeState(
            node=zeros + _START,
            room=max_lengths,
            words_left=num_words,
            depth=zeros,
            stack=tf.zeros([tf.shape(num_words)[0], MAX_DEPTH], tf.int32),
            closing_ids=zeros,
            is_empty=zeros > 0,
            is_whole=num_words == 0,
        )

    def allowed(self, state: TreeState) -> tf.Tensor:
        """Returns which ids may follow, `[batch, vocab_size]` bool."""
        permitted = self._permitted(state)
        symbol = tf.gather(self._trie.symbols, state.node)
        ends = (symbol >= 0) & tf.gather(permitted, tf.maximum(symbol, 0), batch_dims=1)
        after = self._complete(state)
        later = self._permitted(after) & ends[:, None]
        ids, is_allowed = zip(
            self._next_ids(state.node, permitted),
            self._next_ids(tf.fill(tf.shape(state.node), _LATER), later),
            (
                tf.fill([tf.shape(symbol)[0], 1], EOS_ID),
                ((ends & after.is_whole) | state.is_whole)[:, None],
            ),
            strict=True,
        )
        return symbol_trie.mark(
            tf.concat(ids, 1), tf.concat(is_allowed, 1), self._vocab_size
        )

    def _permitted(self, state: TreeState) -> tf.Tensor:
        """Returns which symbols, `[batch, symbols]`, may come next."""
        goes_on = ~state.is_whole & (state.words_left > 0)
        may_be = (
            goes_on & (state.depth < MAX_DEPTH),
            goes_on & ((state.depth > 0) | (state.words_left == 1)),
            ~state.is_empty & ((state.depth > 1) | (state.words_left == 0)),
        )
        of_kind = tf.gather(tf.stack(may_be, 1), self._kinds, axis=1)
        top = tf.gather(state.stack, tf.maximum(state.depth - 1, 0), batch_dims=1)
        closes_top = (state.depth > 0)[:, None] & (self._labels == top[:, None])
        needed = state.words_left * self._least_tag_length + state.closing_ids + 1
        fits = needed[:, None] + self._changes + self._lengths <= state.room[:, None]
        return of_kind & (closes_top | (self._kinds != _CLOSING)) & fits

    def _next_ids(
        self, node: tf.Tensor, permitted: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ids that lead on from a node, and which lead to permitted symbols."""
        counts = tf.matmul(
            tf.cast(permitted, tf.float32), self._trie.reaches.T.astype(np.float32)
        )
        leads = tf.gather(
            counts > 0, tf.gather(self._trie.children, node), batch_dims=1
        )
        return tf.gather(self._trie.child_ids, node), leads

    def advance(self, state: TreeState, ids: tf.Tensor) -> TreeState:
        """Returns the state after ids `[batch]`; padding and end leave it as it is."""
        inside = symbol_trie.follow(self._trie, state.node, ids)
        goes_on = inside != symbol_trie.NOWHERE
        after = self._complete(state)
        # An id that leads nowhere breaks the rule; what follows it is of no account.
        roots = tf.fill(tf.shape(ids), _LATER)
        node = symbol_trie.follow(self._trie, roots, ids)
        node = tf.where(goes_on, inside, tf.maximum(node, _LATER))
        is_reserved = (ids == PAD_ID) | (ids == EOS_ID)
        moved = _where(goes_on, state, after)._replace(node=node)
        return _where(is_reserved, state, moved)

    def _complete(self, state: TreeState) -> TreeState:
        """Returns the state after the symbol that ends at the node, if one does."""
        symbol = tf.maximum(tf.gather(self._trie.symbols, state.node), 0)
        kind, label, length = (
            tf.gather(table, symbol)
            for table in (self._kinds, self._labels, self._lengths)
        )
        opens, closes = kind == _OPENING, kind == _CLOSING
        step = tf.cast(opens, tf.int32) - tf.cast(closes, tf.int32)
        depth = state.depth + step
        is_new = opens[:, None] & (tf.range(MAX_DEPTH) == state.depth[:, None])
        return TreeState(
            node=state.node,
            room=state.room - length,
            words_left=state.words_left - tf.cast(kind == _TAG, tf.int32),
            depth=depth,
            stack=tf.where(is_new, label[:, None], state.stack),
            closing_ids=state.closing_ids
            + step * tf.gather(self._closing_lengths, label),
            is_empty=opens,
            is_whole=depth == 0,
        )


def of_problem(
    problem: problem_lib.Problem, vocab_dir: str, vocab_size: int | None
) -> TreeConstraint:
    """Returns the constraint that the rule of a problem means with its vocabulary.

    Raises:
      ValueError: if the problem has no rule.
    """
    rule = problem.output_rule
    if rule is None or vocab_size is None:
        raise ValueError(
            f"`constrained` needs an `output_rule`, and {problem.name} has none: its "
            "outputs may be anything. Decode with constrained=false."
        )

    def encode(text: str) -> list[int]:
        *ids, _ = problem.encode_targets(text, vocab_dir)
        return ids

    return TreeConstraint(rule, encode, vocab_size)


def _symbols(
    rule: output_rules.TreeRule, encode: Callable[[str], list[int]]
) -> list[_Symbol]:
    constituents = list(enumerate(rule.constituents))
    return [
        *(_Symbol(_OPENING, number, encode(label)) for number, label in constituents),
        *(
            _Symbol(_CLOSING, number, encode(trees.CLOSING + label))
            for number, label in constituents
        ),
        *(_Symbol(_TAG, 0, encode(tag)) for tag in rule.tags),
    ]


def _check_ends_are_seen(trie: symbol_trie.SymbolTrie) -> None:
    """Checks that no id both goes on with a symbol and begins the next one."""
    starts = set(trie.child_ids[_LATER].tolist()) - {PAD_ID}
    for node, symbol in enumerate(trie.symbols):
        shared = starts.intersection(trie.child_ids[node].tolist())
        if symbol >= 0 and shared:
            raise ValueError(
                f"The vocabulary has an id, {min(shared)}, that may be the rest of one "
                "symbol of a tree or the start of another, so that outputs cannot be "
                "constrained. Decode with constrained=false."
            )


def _where(condition: tf.Tensor, first: TreeState, second: TreeState) -> TreeState:
    """Returns the state of the first in rows where the condition holds."""
    return TreeState(
        *(
            tf.where(tf.reshape(condition, [-1] + [1] * (a.shape.rank - 1)), a, b)
            for a, b in zip(first, second, strict=True)
        )
    )
