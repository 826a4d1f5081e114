"""The English sentence of a scene, grown as a parse tree."""

from t2t_mm.problems.miniworld import scene as scene_lib

Tree = tuple  # a node `(label, child, ...)` or a leaf `(part of speech, word)`

_NUMBERS = {2: "two", 3: "three"}
_PLURALS = {"cross": "crosses"}  # the others add an s


def adjectives(group: scene_lib.Group) -> list[str]:
    """Returns the English adjectives of a group in their order."""
    pattern = "" if group.pattern == "plain" else group.pattern
    return [word for word in (group.size, pattern, group.colour) if word]


def _phrase(group: scene_lib.Group, *, definite: bool = False) -> Tree:
    """Returns a noun phrase such as "the two small striped red balls"."""
    leaves = [("DT", "the")] if definite else []
    if group.count > 1:
        leaves.append(("CD", _NUMBERS[group.count]))
    elif not definite:
        leaves.append(("DT", "a"))
    leaves += [("JJ", adjective) for adjective in adjectives(group)]
    if group.count == 1:
        noun = ("NN", group.shape)
    else:
        noun = ("NNS", _PLURALS.get(group.shape, f"{group.shape}s"))
    return ("NP", *leaves, noun)


def _both(first: Tree, second: Tree, label: str) -> Tree:
    """Returns two constituents joined by "and"."""
    return (label, first, ("CC", "and"), second)


def _verb(group: scene_lib.Group) -> Tree:
    """Returns "is" or "are", whichever the group asks for."""
    return ("VBZ", "is") if group.count == 1 else ("VBP", "are")


def _place(preposition: str, phrase: Tree) -> Tree:
    """Returns a phrase of place; "left" is an adverb that is followed by "of"."""
    if preposition == "left":
        return ("ADVP", ("RB", "left"), ("PP", ("IN", "of"), phrase))
    return ("PP", ("IN", preposition), phrase)


def _clause_of_three(
    form: str, groups: tuple[scene_lib.Group, ...]
) -> tuple[Tree, Tree, Tree]:
    """Returns subject, verb and place for a subject and two other groups."""
    first, second, third = groups
    subject, verb = _phrase(first), _verb(first)
    if form == "between":
        both = _both(_phrase(second), _phrase(third), "NP")
        return subject, verb, _place("between", both)
    if form == "pair":
        both = _both(subject, _phrase(second), "NP")
        return both, ("VBP", "are"), _place("above", _phrase(third, definite=True))
    known = _phrase(second, definite=True)
    if form == "corner":
        left = _place("left", _phrase(third, definite=True))
        return subject, verb, _both(_place("above", known), left, "UCP")
    inside = ("S", ("VP", verb, _place("inside", known)))
    clause = ("SBAR", ("WHNP", ("WDT", "that")), inside)
    subject = ("NP", _phrase(first, definite=True), clause)
    return subject, verb, _place("left", _phrase(third))


def tree(scene: scene_lib.Scene) -> Tree:
    """Returns the parse tree of the English sentence, from TOP down."""
    groups = scene.groups
    if scene.form == "alone":
        subject = ("NP", ("EX", "there"))
        verb, rest = _verb(groups[0]), _phrase(groups[0])
    elif len(groups) == 2:
        subject, verb = _phrase(groups[0]), _verb(groups[0])
        other = _phrase(groups[1], definite=scene.form != "above")
        rest = _place(scene.form, other)
    else:
        subject, verb, rest = _clause_of_three(scene.form, groups)
    return ("TOP", ("S", subject, ("VP", verb, rest), (".", ".")))


def leaves(node: Tree) -> list[str]:
    """Returns the words of a tree from left to right."""
    if isinstance(node[1], str):
        return [node[1]]
    return [word for child in node[1:] for word in leaves(child)]


def bracketed(node: Tree) -> str:
    """Returns a tree as "(label child child)"."""
    if isinstance(node[1], str):
        return f"({node[0]} {node[1]})"
    return f"({node[0]} {' '.join(bracketed(child) for child in node[1:])})"


def linearised(node: Tree) -> str:
    """Returns a tree as "label child child /label" and a leaf as its part of speech."""
    if isinstance(node[1], str):
        return node[0]
    return f"{node[0]} {' '.join(linearised(child) for child in node[1:])} /{node[0]}"
