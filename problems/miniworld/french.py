"""The French sentence of a scene."""

from typing import NamedTuple

from t2t_mm.problems.miniworld import scene as scene_lib


class _Noun(NamedTuple):
    """A French noun; `elides` says that le, la and de lose their vowel before it."""

    gender: str
    singular: str
    plural: str
    elides: bool = False


_NOUNS = {
    "ball": _Noun("f", "boule", "boules"),
    "star": _Noun("f", "étoile", "étoiles", elides=True),
    "ring": _Noun("m", "anneau", "anneaux", elides=True),
    "heart": _Noun("m", "cœur", "cœurs"),
    "cross": _Noun("f", "croix", "croix"),
    "triangle": _Noun("m", "triangle", "triangles"),
    "flower": _Noun("f", "fleur", "fleurs"),
    "diamond": _Noun("m", "losange", "losanges"),
}
_ADJECTIVES = {  # masculine, feminine; the plural adds an s
    "small": ("petit", "petite"),
    "big": ("grand", "grande"),
    "striped": ("rayé", "rayée"),
    "red": ("rouge", "rouge"),
    "blue": ("bleu", "bleue"),
    "green": ("vert", "verte"),
    "yellow": ("jaune", "jaune"),
    "purple": ("violet", "violette"),
    "white": ("blanc", "blanche"),
}
_NUMBERS = {2: "deux", 3: "trois"}


def _adjective(word: str, group: scene_lib.Group) -> str:
    """Returns an adjective that agrees with a group's noun; "à pois" never changes."""
    if word == "dotted":
        return "à pois"
    feminine = _NOUNS[group.shape].gender == "f"
    return _ADJECTIVES[word][feminine] + ("s" if group.count > 1 else "")


def _article(group: scene_lib.Group, *, definite: bool) -> str:
    """Returns the words before the noun and its size, such as "les deux "."""
    noun = _NOUNS[group.shape]
    if group.count > 1:
        return (
            f"les {_NUMBERS[group.count]} " if definite else f"{_NUMBERS[group.count]} "
        )
    if not definite:
        return "une " if noun.gender == "f" else "un "
    if noun.elides and not group.size:
        return "l'"
    return "la " if noun.gender == "f" else "le "


def _phrase(group: scene_lib.Group, *, definite: bool = False) -> str:
    """Returns a noun phrase such as "les deux petites boules rouges rayées".

    The size stands before the noun, the colour and then the pattern behind it.
    """
    noun = _NOUNS[group.shape]
    words = [_adjective(group.size, group)] if group.size else []
    words.append(noun.singular if group.count == 1 else noun.plural)
    words.append(_adjective(group.colour, group))
    if group.pattern != "plain":
        words.append(_adjective(group.pattern, group))
    return _article(group, definite=definite) + " ".join(words)


def _of(phrase: str) -> str:
    """Returns "de" and a noun phrase, contracted: "du", "des", "d'une", "de l'"."""
    for article, contracted in (("le ", "du "), ("les ", "des "), ("un", "d'un")):
        if phrase.startswith(article):
            return contracted + phrase.removeprefix(article)
    return f"de {phrase}"


def _verb(group: scene_lib.Group) -> str:
    """Returns "est" or "sont", whichever the group asks for."""
    return "est" if group.count == 1 else "sont"


def _clause_of_two(form: str, subject: scene_lib.Group, other: scene_lib.Group) -> str:
    """Returns the clause for a subject and one group that it is related to."""
    if form == "inside":
        return f"il y a {_phrase(subject)} dans {_phrase(other, definite=True)}"
    if form == "left":
        place = f"à gauche {_of(_phrase(other, definite=True))}"
    else:
        place = f"au-dessus {_of(_phrase(other))}"
    return f"{_phrase(subject)} {_verb(subject)} {place}"


def _clause_of_three(form: str, groups: tuple[scene_lib.Group, ...]) -> str:
    """Returns the clause for a subject and two other groups."""
    first, second, third = groups
    subject, verb = _phrase(first), _verb(first)
    if form == "between":
        reflexive = "se trouve" if first.count == 1 else "se trouvent"
        return f"{subject} {reflexive} entre {_phrase(second)} et {_phrase(third)}"
    if form == "pair":
        above = f"au-dessus {_of(_phrase(third, definite=True))}"
        return f"{subject} et {_phrase(second)} sont {above}"
    known = _phrase(second, definite=True)
    if form == "corner":
        left = f"à gauche {_of(_phrase(third, definite=True))}"
        return f"{subject} {verb} au-dessus {_of(known)} et {left}"
    left = f"à gauche {_of(_phrase(third))}"
    return f"{_phrase(first, definite=True)} qui {verb} dans {known} {verb} {left}"


def sentence(scene: scene_lib.Scene) -> str:
    """Returns the French sentence, such as "il y a deux petites boules rouges ."."""
    if scene.form == "alone":
        clause = f"il y a {_phrase(scene.groups[0])}"
    elif len(scene.groups) == 2:
        clause = _clause_of_two(scene.form, *scene.groups)
    else:
        clause = _clause_of_three(scene.form, scene.groups)
    return f"{clause} ."
