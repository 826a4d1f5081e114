"""What a scene is called: one sentence in each language, and the English one's parse.

Tokens are separated by spaces and only German nouns have capitals. The picture fixes
the order of mention: the subject is the left, the upper, the inner or the middle group,
and nothing is ever "right of" or "below". Of two coordinated groups the left one comes
first. A size is told wherever the form of the scene is sized, "plain" never.
"""

from t2t_mm.problems.miniworld import english as english_lib
from t2t_mm.problems.miniworld import french as french_lib
from t2t_mm.problems.miniworld import german as german_lib
from t2t_mm.problems.miniworld import scene as scene_lib


def english(scene: scene_lib.Scene) -> str:
    """Returns the English sentence, such as "there are two small red balls ."."""
    return " ".join(english_lib.leaves(english_lib.tree(scene)))


def german(scene: scene_lib.Scene) -> str:
    """Returns the German sentence, such as "es gibt zwei kleine rote Bälle ."."""
    return german_lib.sentence(scene)


def french(scene: scene_lib.Scene) -> str:
    """Returns the French sentence, such as "il y a deux petites boules rouges ."."""
    return french_lib.sentence(scene)


def spoken(scene: scene_lib.Scene) -> str:
    """Returns the English sentence as it is said: letters and spaces only."""
    return english(scene).removesuffix(" .")


def parse(scene: scene_lib.Scene) -> str:
    """Returns the Penn Treebank bracketing of the English sentence."""
    return english_lib.bracketed(english_lib.tree(scene))


def linearised_parse(scene: scene_lib.Scene) -> str:
    """Returns the parse without words: "S NP EX /NP VP VBP NP CD NNS /NP /VP . /S".

    This is the target of Vinyals et al. (2015), https://arxiv.org/abs/1412.7449: a
    constituent opens with its label and closes with "/label", a word is its part of
    speech, and the outermost TOP is left out.
    """
    _, clause = english_lib.tree(scene)
    return english_lib.linearised(clause)
