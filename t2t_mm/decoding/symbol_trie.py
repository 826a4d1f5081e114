"""Symbols of one or several ids each, as tables that a graph can walk through."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm.features import PAD_ID

NO_SYMBOL = -1
NOWHERE = -1  # where an id leads that does not go on


class SymbolTrie(NamedTuple):
    """A trie of id sequences, with several roots.

    Nodes are numbered: the roots first, the last is one that nothing leads on from.

    Attributes:
      child_ids: `[nodes, children]` int32, ids that lead on; padding after them.
      children: `[nodes, children]` int32, where they lead to; the last node for
        padding.
      symbols: `[nodes]` int32, the symbol that ends at a node or `NO_SYMBOL`.
      reaches: `[nodes, symbols]` bool, whether a symbol ends at a node or beyond it.
    """

    child_ids: np.ndarray
    children: np.ndarray
    symbols: np.ndarray
    reaches: np.ndarray


def build(groups: Sequence[Sequence[Sequence[int]]]) -> SymbolTrie:
    """Returns the trie of symbols in groups, each with a root of its own.

    Args:
      groups: ids of each symbol by group; group 0 has root 0 and symbols 0, 1, ...

    Raises:
      ValueError: if a symbol has no ids or those of another symbol of its group.
    """
    edges: list[dict[int, int]] = [{} for _ in groups]
    symbols = [NO_SYMBOL] * len(groups)
    paths: list[list[int]] = []  # nodes of each symbol
    for root, group in enumerate(groups):
        for ids in group:
            path = _insert(edges, symbols, root, ids)
            if not ids or symbols[path[-1]] != NO_SYMBOL:
                raise ValueError(
                    f"Symbols must have different ids, at least one each; got {ids}."
                )
            symbols[path[-1]] = len(paths)
            paths.append(path)
    return _tables(edges, symbols, paths)


def _insert(
    edges: list[dict[int, int]], symbols: list[int], root: int, ids: Sequence[int]
) -> list[int]:
    """Adds the nodes of a symbol that are missing; returns all of them."""
    path = [root]
    for symbol_id in ids:
        if symbol_id not in edges[path[-1]]:
            edges[path[-1]][symbol_id] = len(edges)
            edges.append({})
            symbols.append(NO_SYMBOL)
        path.append(edges[path[-1]][symbol_id])
    return path


def _tables(
    edges: list[dict[int, int]], symbols: list[int], paths: list[list[int]]
) -> SymbolTrie:
    num_nodes, width = len(edges) + 1, max(map(len, edges))
    child_ids = np.full([num_nodes, width], PAD_ID, np.int32)
    children = np.full([num_nodes, width], num_nodes - 1, np.int32)
    for node, leads_to in enumerate(edges):
        child_ids[node, : len(leads_to)] = list(leads_to)
        children[node, : len(leads_to)] = list(leads_to.values())
    reaches = np.zeros([num_nodes, len(paths)], bool)
    for symbol, path in enumerate(paths):
        reaches[path, symbol] = True
    return SymbolTrie(child_ids, children, np.array([*symbols, NO_SYMBOL]), reaches)


def follow(trie: SymbolTrie, nodes: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """Returns the nodes that ids lead to, `[batch]` int32, or `NOWHERE`.

    Args:
      trie: the trie.
      nodes: `[batch]` int32.
      ids: `[batch]` int32.
    """
    children = tf.gather(trie.children, nodes)
    leads = tf.gather(trie.child_ids, nodes) == ids[:, None]
    leads &= children < len(trie.symbols) - 1  # the last node is that of padding
    return tf.reduce_max(tf.where(leads, children, NOWHERE), 1)


def mark(ids: tf.Tensor, is_marked: tf.Tensor, vocab_size: int) -> tf.Tensor:
    """Returns which ids are marked, `[batch, vocab_size]` bool.

    Args:
      ids: `[batch, some]` int32, in any order.
      is_marked: `[batch, some]` bool, which of them to mark.
      vocab_size: number of ids.
    """
    rows = tf.range(tf.shape(ids)[0])
    indices = tf.stack([tf.broadcast_to(rows[:, None], tf.shape(ids)), ids], -1)
    shape = [tf.shape(ids)[0], vocab_size]
    return tf.scatter_nd(indices, tf.cast(is_marked, tf.int32), shape) > 0
