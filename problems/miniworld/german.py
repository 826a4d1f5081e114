"""The German sentence of a scene."""

from typing import NamedTuple

from t2t_mm.problems.miniworld import english
from t2t_mm.problems.miniworld import scene as scene_lib


class _Noun(NamedTuple):
    """A German noun; `dative` is that of the singular."""

    gender: str
    singular: str
    plural: str
    dative: str


_NOUNS = {
    "ball": _Noun("m", "Ball", "Bälle", "Ball"),
    "star": _Noun("m", "Stern", "Sterne", "Stern"),
    "ring": _Noun("m", "Ring", "Ringe", "Ring"),
    "heart": _Noun("n", "Herz", "Herzen", "Herzen"),
    "cross": _Noun("n", "Kreuz", "Kreuze", "Kreuz"),
    "triangle": _Noun("n", "Dreieck", "Dreiecke", "Dreieck"),
    "flower": _Noun("f", "Blume", "Blumen", "Blume"),
    "diamond": _Noun("f", "Raute", "Rauten", "Raute"),
}
_ADJECTIVES = {
    "small": "klein",
    "big": "groß",
    "striped": "gestreift",
    "dotted": "gepunktet",
    "red": "rot",
    "blue": "blau",
    "green": "grün",
    "yellow": "gelb",
    "purple": "violett",
    "white": "weiß",
}
_NUMBERS = {1: "", 2: "zwei", 3: "drei"}

# Case, then gender, with "p" for the plural: an article and the adjectives' ending.
_DEFINITE = {
    "nominative": {
        "m": ("der", "e"),
        "f": ("die", "e"),
        "n": ("das", "e"),
        "p": ("die", "en"),
    },
    "dative": {
        "m": ("dem", "en"),
        "f": ("der", "en"),
        "n": ("dem", "en"),
        "p": ("den", "en"),
    },
}
_INDEFINITE = {
    "nominative": {
        "m": ("ein", "er"),
        "f": ("eine", "e"),
        "n": ("ein", "es"),
        "p": ("", "e"),
    },
    "accusative": {
        "m": ("einen", "en"),
        "f": ("eine", "e"),
        "n": ("ein", "es"),
        "p": ("", "e"),
    },
    "dative": {
        "m": ("einem", "en"),
        "f": ("einer", "en"),
        "n": ("einem", "en"),
        "p": ("", "en"),
    },
}
_CONTRACTIONS = {"von dem": "vom", "in dem": "im"}


def _phrase(
    group: scene_lib.Group, case: str = "nominative", *, definite: bool = False
) -> str:
    """Returns a noun phrase such as "den zwei kleinen roten Bällen"."""
    noun = _NOUNS[group.shape]
    gender = noun.gender if group.count == 1 else "p"
    article, ending = (_DEFINITE if definite else _INDEFINITE)[case][gender]
    words = [article, _NUMBERS[group.count]]
    words += [_ADJECTIVES[word] + ending for word in english.adjectives(group)]
    words.append(_inflected(noun, case, plural=group.count > 1))
    return " ".join(word for word in words if word)


def _inflected(noun: _Noun, case: str, *, plural: bool) -> str:
    """Returns the noun in its case; a dative plural ends with n."""
    if not plural:
        return noun.dative if case == "dative" else noun.singular
    if case == "dative" and not noun.plural.endswith("n"):
        return f"{noun.plural}n"
    return noun.plural


def _place(preposition: str, group: scene_lib.Group, *, definite: bool = False) -> str:
    """Returns a preposition and its dative, such as "links vom roten Ball"."""
    place = f"{preposition} {_phrase(group, 'dative', definite=definite)}"
    for long, short in _CONTRACTIONS.items():
        place = place.replace(f"{long} ", f"{short} ")
    return place


def _clause_of_two(form: str, first: scene_lib.Group, second: scene_lib.Group) -> str:
    """Returns the clause for a subject and one group that it is related to."""
    subject = _phrase(first)
    ending = "t" if first.count == 1 else "en"
    if form == "left":
        place = _place("links von", second, definite=True)
        return f"{subject} lieg{ending} {place}"
    if form == "above":
        return f"{_place('über', second)} schweb{ending} {subject}"
    return f"{_place('in', second, definite=True)} steck{ending} {subject}"


def _clause_of_three(form: str, groups: tuple[scene_lib.Group, ...]) -> str:
    """Returns the clause for a subject and two other groups."""
    first, second, third = groups
    subject = _phrase(first)
    if form == "between":
        between = f"{_phrase(second, 'dative')} und {_phrase(third, 'dative')}"
        verb = "liegt" if first.count == 1 else "liegen"
        return f"zwischen {between} {verb} {subject}"
    if form == "pair":
        above = _place("über", third, definite=True)
        return f"{above} schweben {subject} und {_phrase(second)}"
    if form == "corner":
        verb = "befindet sich" if first.count == 1 else "befinden sich"
        above = _place("über", second, definite=True)
        return (
            f"{subject} {verb} {above} und {_place('links von', third, definite=True)}"
        )
    pronoun, _ = _DEFINITE["nominative"][_NOUNS[first.shape].gender]
    clause = f"{pronoun} {_place('in', second, definite=True)} steckt"
    known = _phrase(first, definite=True)
    return f"{known} , {clause} , liegt {_place('links von', third)}"


def sentence(scene: scene_lib.Scene) -> str:
    """Returns the German sentence, such as "es gibt zwei kleine rote Bälle ."."""
    if scene.form == "alone":
        clause = f"es gibt {_phrase(scene.groups[0], 'accusative')}"
    elif len(scene.groups) == 2:
        clause = _clause_of_two(scene.form, *scene.groups)
    else:
        clause = _clause_of_three(scene.form, scene.groups)
    return f"{clause} ."
