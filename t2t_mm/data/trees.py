"""Phrase-structure trees: reading bracketed files, and trees as lines of symbols.

A tree is read from the Penn Treebank's brackets, in one line or many:

    ( (S (NP-SBJ (PRP I)) (VP (VBP run)) (. .)))

and written as its words, `I run .`, and as symbols (Vinyals et al., arXiv:1412.7449, as
in Tensor2Tensor): a constituent opens with its label and closes with `/` and its label;
words are left out and their tags stay, which nothing closes:

    S NP PRP /NP VP VBP /VP . /S

Words and symbols give the tree back: what is never closed is the tag of a word.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence, Set
from typing import NamedTuple

from t2t_mm import problem

TOP = "TOP"
ROOT_LABELS = ("", TOP, "ROOT", "S1", "VROOT")  # around a tree, no part of it
TRACE = "-NONE-"  # the tag of what is not said
CLOSING = "/"
MAX_DEPTH = 250  # real trees are below 60; everything here recurses less than that

# Only ASCII separates: a word may hold a no-break space.
_TOKEN = re.compile(r"[()]|[^() \t\r\n\f\v]+")
_LABEL = re.compile(r"[^-=|]+")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # as `errors="surrogateescape"` reads it


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """A constituent with what it consists of, or a word with its tag.

    Attributes:
      label: the label of a constituent, or the tag of a word.
      children: parts of a constituent in their order; empty for a word.
      word: the word; None for a constituent.
    """

    label: str
    children: tuple["Tree", ...] = ()
    word: str | None = None

    def leaves(self) -> Iterator["Tree"]:
        """Yields the words in their order, each with its tag."""
        if self.word is not None:
            yield self
        for child in self.children:
            yield from child.leaves()

    def words(self) -> list[str]:
        """Returns the words in their order."""
        return [str(leaf.word) for leaf in self.leaves()]

    def __str__(self) -> str:
        """Returns the tree in brackets, on one line."""
        parts = [self.word] if self.word is not None else map(str, self.children)
        return f"({' '.join([self.label, *parts])})"


class FoundTree(NamedTuple):
    """A tree of a file.

    Attributes:
      name: file and line where it begins: "wsj_0201.mrg line 12".
      tree: the tree, cleaned.
    """

    name: str
    tree: Tree


class IllFormedError(ValueError):
    """Says why symbols are not a tree over some words."""


def read_trees(
    path: str | os.PathLike[str], name: str
) -> Iterator[FoundTree | problem.Rejected]:
    """Yields the trees of a bracketed file, a line at a time.

    Labels lose their functions and numbers (NP-SBJ-1 is NP, ADVP=2 is ADVP, PRT|ADVP is
    PRT), traces go with the constituents that hold nothing else, and so does the label
    around a tree, be it empty, TOP or ROOT. Whatever is not a tree is rejected by the
    line where it begins; the next label that stands around a tree begins anew.

    Args:
      path: the file, in UTF-8.
      name: what to call it.
    """
    reader = _Reader(name)
    with open(
        path, encoding="utf-8-sig", errors="surrogateescape", newline="\n"
    ) as lines:
        for number, line in enumerate(lines, 1):
            yield from reader.read_line(number, line)
    yield from reader.finish()


@dataclasses.dataclass
class _Open:
    """A bracket that has not been closed yet."""

    line: int
    label: str | None = None
    word: str | None = None
    children: list[Tree] = dataclasses.field(default_factory=list)
    num_children: int = 0  # with those that held nothing but traces

    @property
    def is_empty(self) -> bool:
        return self.label is None and not self.num_children


class _Reader:
    """Turns the tokens of a file into trees, from the top down."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[_Open] = []
        self._fault: str | None = None  # of the tree that is open

    def read_line(
        self, number: int, line: str
    ) -> Iterator[FoundTree | problem.Rejected]:
        outside = False
        for token in _TOKEN.findall(line):
            if token == "(":
                yield from self._open_bracket(number)
            elif token == ")":
                yield from self._close_bracket(number)
            elif self._open:
                yield from self._read_atom(token)
            elif not outside:
                outside = True
                yield self._rejected(number, "text outside of brackets")

    def finish(self) -> Iterator[problem.Rejected]:
        if self._open:
            yield self._rejected(self._open[0].line, "a bracket is not closed")

    def _rejected(self, number: int, reason: str) -> problem.Rejected:
        return problem.Rejected(name=f"{self._name} line {number}", reason=reason)

    def _note(self, fault: str) -> None:
        self._fault = self._fault or fault

    def _open_bracket(self, number: int) -> Iterator[problem.Rejected]:
        if self._open and self._open[-1].is_empty:
            self._open[-1].label = ""
            yield from self._begin_anew()
        if self._open:
            self._open[-1].num_children += 1
            if self._open[-1].word is not None:
                self._note("a word beside constituents")
        if len(self._open) > MAX_DEPTH:
            self._note(f"more than {MAX_DEPTH} brackets deep")
        self._open.append(_Open(number))

    def _begin_anew(self) -> Iterator[problem.Rejected]:
        """Drops what is open if the newest label belongs around a tree, not into it."""
        *around, newest = self._open
        only_roots = all(
            bracket.label in ROOT_LABELS and bracket.num_children == 1
            for bracket in around
        )
        if newest.label in ROOT_LABELS and not only_roots:
            yield self._rejected(around[0].line, "a bracket is not closed")
            self._open = [newest]
            self._fault = None

    def _read_atom(self, token: str) -> Iterator[problem.Rejected]:
        bracket = self._open[-1]
        if _NOT_UTF8.search(token):
            self._note("bytes that are not UTF-8")
        if bracket.is_empty:
            bracket.label = token
            yield from self._begin_anew()
            if token.startswith(CLOSING):
                self._note(f"a label that begins with {CLOSING}")
        elif bracket.num_children:
            self._note("a word beside constituents")
        elif bracket.word is not None:
            self._note("two words with one tag")
        else:
            bracket.word = token

    def _close_bracket(self, number: int) -> Iterator[FoundTree | problem.Rejected]:
        if not self._open:
            yield self._rejected(number, "a bracket is closed that is not open")
            return
        bracket = self._open.pop()
        if bracket.word is None and not bracket.num_children:
            self._note("a constituent that holds nothing")
        if self._open:
            tree = _tree(bracket)
            if tree is not None and not self._fault:
                self._open[-1].children.append(tree)
            return
        fault, self._fault = self._fault, None
        yield self._whole(bracket, fault)

    def _whole(self, bracket: _Open, fault: str | None) -> FoundTree | problem.Rejected:
        if fault:
            return self._rejected(bracket.line, fault)
        tree = _without_root(bracket)
        name = f"{self._name} line {bracket.line}"
        if tree is None:
            return problem.Rejected(
                name=name, reason="nothing but traces", harmless=True
            )
        tags = {leaf.label for leaf in tree.leaves()}
        if not tags.isdisjoint(_constituents(tree)):
            return problem.Rejected(
                name=name, reason="a constituent labelled as a word"
            )
        return FoundTree(name, tree)


def _tree(bracket: _Open) -> Tree | None:
    """Returns the tree of a closed bracket; None if it says nothing."""
    if bracket.label == TRACE or (bracket.word is None and not bracket.children):
        return None
    return Tree(_clean(bracket.label or ""), tuple(bracket.children), bracket.word)


def _without_root(bracket: _Open) -> Tree | None:
    """Returns the tree of an outermost bracket without a label around it."""
    tree = _tree(bracket)
    while tree and tree.label in ROOT_LABELS and len(tree.children) == 1:
        (tree,) = tree.children
    if tree and tree.label in ROOT_LABELS:
        return dataclasses.replace(tree, label=TOP)  # of several parts
    return tree


def _clean(label: str) -> str:
    """Removes functions and numbers from a label; -LRB- and the like are whole."""
    match = _LABEL.match(label)
    return match[0] if match else label


def _constituents(tree: Tree) -> set[str]:
    """Returns the labels of all constituents of a tree."""
    if tree.word is not None:
        return set()
    return {tree.label}.union(*map(_constituents, tree.children))


def linearize(tree: Tree) -> str:
    """Returns a tree without its words as symbols, with spaces between.

    The symbols give the tree back if no constituent has the tag of a word as its label;
    `read_trees` rejects other trees.
    """
    return " ".join(_symbols(tree))


def _symbols(tree: Tree) -> Iterator[str]:
    yield tree.label
    if tree.word is None:
        for child in tree.children:
            yield from _symbols(child)
        yield CLOSING + tree.label


def delinearize(words: Sequence[str], symbols: str) -> Tree:
    """Returns the tree that symbols, as `linearize` writes them, make of words.

    Raises:
      IllFormedError: if they make none; says what is wrong.
    """
    tree = read_symbols(symbols)
    num_tags = sum(1 for _ in tree.leaves())
    if num_tags != len(words):
        raise IllFormedError(
            f"There must be a tag for each of {len(words)} words; got {num_tags}."
        )
    return _with_words(tree, iter(words))


def read_symbols(symbols: str) -> Tree:
    """Returns the tree of symbols with empty words.

    Raises:
      IllFormedError: if they are no tree; says what is wrong.
    """
    all_symbols = [symbol for symbol in symbols.split(" ") if symbol]
    closed = {symbol[1:] for symbol in all_symbols if symbol.startswith(CLOSING)}
    parts: list[Tree | str] = []  # constituents, and symbols that are not closed
    for symbol in all_symbols:
        if symbol.startswith(CLOSING):
            _close(parts, symbol[1:], closed)
        else:
            parts.append(symbol)
    return _whole_tree(parts, closed)


def _close(parts: list[Tree | str], label: str, closed: Set[str]) -> None:
    """Makes the newest open `label`, with what follows it, a constituent."""
    start = len(parts) - 1
    while start >= 0 and parts[start] != label:
        start -= 1
    if start < 0:
        raise IllFormedError(f"{CLOSING}{label} closes what is not open.")
    children = tuple(_leaf(part, closed) for part in parts[start + 1 :])
    if not children:
        raise IllFormedError(f"{label} holds nothing.")
    parts[start:] = [Tree(label, children)]


def _leaf(part: Tree | str, closed: Set[str]) -> Tree:
    """Returns a symbol that is not closed as the tag of a word yet to come."""
    if isinstance(part, Tree):
        return part
    if part in closed:  # elsewhere, so it is the label of a constituent
        raise IllFormedError(f"{part} is not closed.")
    return Tree(part, word="")


def _whole_tree(parts: Sequence[Tree | str], closed: Set[str]) -> Tree:
    if not parts:
        raise IllFormedError("There are no symbols.")
    if len(parts) > 1:
        for part in parts:
            if isinstance(part, str):
                raise IllFormedError(f"{part} is not closed.")
        raise IllFormedError(f"There are {len(parts)} trees instead of one.")
    tree = _leaf(parts[0], closed)
    if _depth(tree) > MAX_DEPTH:
        raise IllFormedError(f"It is more than {MAX_DEPTH} constituents deep.")
    return tree


def _depth(tree: Tree) -> int:
    """Counts the levels without recursion, which has a limit."""
    depth = 0
    level = [tree]
    while level:
        depth += 1
        level = [child for parent in level for child in parent.children]
    return depth


def _with_words(tree: Tree, words: Iterator[str]) -> Tree:
    if tree.word is not None:
        return Tree(tree.label, word=next(words))
    return Tree(tree.label, tuple(_with_words(child, words) for child in tree.children))
