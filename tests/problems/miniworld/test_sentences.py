import re

import numpy as np
import pytest

from t2t_mm.problems.miniworld import scene as scene_lib
from t2t_mm.problems.miniworld import sentences


def group(words):
    """Reads "2 small striped red ball"; size and pattern may be left out."""
    count, *adjectives, colour, shape = words.split()
    size = [word for word in adjectives if word in scene_lib.SIZES]
    pattern = [word for word in adjectives if word in scene_lib.PATTERNS]
    return scene_lib.Group(
        shape=shape,
        colour=colour,
        pattern=pattern[0] if pattern else "plain",
        size=size[0] if size else "",
        count=int(count),
    )


def scene(form, *groups):
    return scene_lib.Scene(form, tuple(group(words) for words in groups))


def sampled(count):
    rng = np.random.default_rng(7)
    return [scene_lib.sample_scene(rng) for _ in range(count)]


EXAMPLES = [
    (
        scene("alone", "1 small red ball"),
        "there is a small red ball .",
        "es gibt einen kleinen roten Ball .",
        "il y a une petite boule rouge .",
    ),
    (
        scene("alone", "1 big dotted purple flower"),
        "there is a big dotted purple flower .",
        "es gibt eine große gepunktete violette Blume .",
        "il y a une grande fleur violette à pois .",
    ),
    (
        scene("alone", "1 big striped white cross"),
        "there is a big striped white cross .",
        "es gibt ein großes gestreiftes weißes Kreuz .",
        "il y a une grande croix blanche rayée .",
    ),
    (
        scene("alone", "2 small dotted yellow star"),
        "there are two small dotted yellow stars .",
        "es gibt zwei kleine gepunktete gelbe Sterne .",
        "il y a deux petites étoiles jaunes à pois .",
    ),
    (
        scene("alone", "3 big striped white ring"),
        "there are three big striped white rings .",
        "es gibt drei große gestreifte weiße Ringe .",
        "il y a trois grands anneaux blancs rayés .",
    ),
    (
        scene("left", "1 small red ball", "1 big blue star"),
        "a small red ball is left of the big blue star .",
        "ein kleiner roter Ball liegt links vom großen blauen Stern .",
        "une petite boule rouge est à gauche de la grande étoile bleue .",
    ),
    (
        scene("left", "1 big green heart", "1 small yellow flower"),
        "a big green heart is left of the small yellow flower .",
        "ein großes grünes Herz liegt links von der kleinen gelben Blume .",
        "un grand cœur vert est à gauche de la petite fleur jaune .",
    ),
    (
        scene("left", "2 small white diamond", "1 big purple heart"),
        "two small white diamonds are left of the big purple heart .",
        "zwei kleine weiße Rauten liegen links vom großen violetten Herzen .",
        "deux petits losanges blancs sont à gauche du grand cœur violet .",
    ),
    (
        scene("left", "1 small blue diamond", "3 small striped green ball"),
        "a small blue diamond is left of the three small striped green balls .",
        "eine kleine blaue Raute liegt links von den drei kleinen gestreiften grünen "
        "Bällen .",
        "un petit losange bleu est à gauche des trois petites boules vertes rayées .",
    ),
    (
        scene("above", "1 small red ring", "1 big blue flower"),
        "a small red ring is above a big blue flower .",
        "über einer großen blauen Blume schwebt ein kleiner roter Ring .",
        "un petit anneau rouge est au-dessus d'une grande fleur bleue .",
    ),
    (
        scene("above", "2 big purple flower", "1 small yellow triangle"),
        "two big purple flowers are above a small yellow triangle .",
        "über einem kleinen gelben Dreieck schweben zwei große violette Blumen .",
        "deux grandes fleurs violettes sont au-dessus d'un petit triangle jaune .",
    ),
    (
        scene("above", "1 big white heart", "2 small green cross"),
        "a big white heart is above two small green crosses .",
        "über zwei kleinen grünen Kreuzen schwebt ein großes weißes Herz .",
        "un grand cœur blanc est au-dessus de deux petites croix vertes .",
    ),
    (
        scene("inside", "1 red heart", "1 striped blue star"),
        "a red heart is inside the striped blue star .",
        "im gestreiften blauen Stern steckt ein rotes Herz .",
        "il y a un cœur rouge dans l'étoile bleue rayée .",
    ),
    (
        scene("inside", "3 dotted white ball", "1 green flower"),
        "three dotted white balls are inside the green flower .",
        "in der grünen Blume stecken drei gepunktete weiße Bälle .",
        "il y a trois boules blanches à pois dans la fleur verte .",
    ),
    (
        scene("between", "1 yellow cross", "1 red ring", "1 dotted blue diamond"),
        "a yellow cross is between a red ring and a dotted blue diamond .",
        "zwischen einem roten Ring und einer gepunkteten blauen Raute liegt ein "
        "gelbes Kreuz .",
        "une croix jaune se trouve entre un anneau rouge et un losange bleu à pois .",
    ),
    (
        scene("between", "2 yellow cross", "1 red heart", "1 white ball"),
        "two yellow crosses are between a red heart and a white ball .",
        "zwischen einem roten Herzen und einem weißen Ball liegen zwei gelbe Kreuze .",
        "deux croix jaunes se trouvent entre un cœur rouge et une boule blanche .",
    ),
    (
        scene("corner", "1 purple triangle", "1 white ring", "1 green diamond"),
        "a purple triangle is above the white ring and left of the green diamond .",
        "ein violettes Dreieck befindet sich über dem weißen Ring und links von der "
        "grünen Raute .",
        "un triangle violet est au-dessus de l'anneau blanc et à gauche du losange "
        "vert .",
    ),
    (
        scene("corner", "3 red star", "1 yellow flower", "1 striped white star"),
        "three red stars are above the yellow flower and left of the striped white "
        "star .",
        "drei rote Sterne befinden sich über der gelben Blume und links vom "
        "gestreiften weißen Stern .",
        "trois étoiles rouges sont au-dessus de la fleur jaune et à gauche de "
        "l'étoile blanche rayée .",
    ),
    (
        scene("pair", "1 blue star", "1 red flower", "1 green heart"),
        "a blue star and a red flower are above the green heart .",
        "über dem grünen Herzen schweben ein blauer Stern und eine rote Blume .",
        "une étoile bleue et une fleur rouge sont au-dessus du cœur vert .",
    ),
    (
        scene("nested", "1 red ball", "1 blue star", "1 green ring"),
        "the red ball that is inside the blue star is left of a green ring .",
        "der rote Ball , der im blauen Stern steckt , liegt links von einem grünen "
        "Ring .",
        "la boule rouge qui est dans l'étoile bleue est à gauche d'un anneau vert .",
    ),
    (
        scene("nested", "1 white star", "1 red diamond", "1 dotted green flower"),
        "the white star that is inside the red diamond is left of a dotted green "
        "flower .",
        "der weiße Stern , der in der roten Raute steckt , liegt links von einer "
        "gepunkteten grünen Blume .",
        "l'étoile blanche qui est dans le losange rouge est à gauche d'une fleur "
        "verte à pois .",
    ),
    (
        scene("nested", "1 striped red cross", "1 white ball", "1 blue heart"),
        "the striped red cross that is inside the white ball is left of a blue heart .",
        "das gestreifte rote Kreuz , das im weißen Ball steckt , liegt links von "
        "einem blauen Herzen .",
        "la croix rouge rayée qui est dans la boule blanche est à gauche d'un cœur "
        "bleu .",
    ),
    (
        scene("nested", "1 yellow flower", "1 blue ring", "1 red triangle"),
        "the yellow flower that is inside the blue ring is left of a red triangle .",
        "die gelbe Blume , die im blauen Ring steckt , liegt links von einem roten "
        "Dreieck .",
        "la fleur jaune qui est dans l'anneau bleu est à gauche d'un triangle rouge .",
    ),
]


@pytest.mark.parametrize(("scene", "english", "german", "french"), EXAMPLES)
def test_sentences_are_what_a_native_speaker_says(scene, english, german, french):
    assert sentences.english(scene) == english
    assert sentences.german(scene) == german
    assert sentences.french(scene) == french


def test_spoken_sentences_have_letters_and_spaces_only():
    for scene in sampled(200):
        assert re.fullmatch("[a-z ]+[a-z]", sentences.spoken(scene))


@pytest.mark.parametrize(
    "language", [sentences.english, sentences.german, sentences.french]
)
def test_different_scenes_have_different_sentences(language):
    scenes = {scene_lib.key(scene): scene for scene in sampled(20_000)}

    texts = {language(scene) for scene in scenes.values()}

    assert len(texts) == len(scenes)


def test_sentences_are_short():
    lengths = [len(sentences.english(scene).split()) for scene in sampled(2000)]

    assert min(lengths) == 7
    assert max(lengths) <= 19


def test_languages_use_few_words():
    scenes = sampled(5000)

    for language, most in (("english", 52), ("german", 100), ("french", 80)):
        texts = map(getattr(sentences, language), scenes)
        assert len({word for text in texts for word in text.split()}) <= most


def test_parse_of_a_known_sentence():
    known = scene("above", "1 big red ball", "2 small blue star")

    assert sentences.parse(known) == (
        "(TOP (S (NP (DT a) (JJ big) (JJ red) (NN ball)) (VP (VBZ is) (PP (IN above) "
        "(NP (CD two) (JJ small) (JJ blue) (NNS stars)))) (. .)))"
    )


def test_linearised_parse_of_a_known_sentence():
    known = scene("left", "2 small red ball", "1 big blue star")

    assert sentences.linearised_parse(known) == (
        "S NP CD JJ JJ NNS /NP VP VBP ADVP RB PP IN NP DT JJ JJ NN /NP /PP /ADVP /VP "
        ". /S"
    )


def test_leaves_of_the_parse_are_the_english_words():
    for scene in sampled(500):
        leaves = re.findall(r"\(\S+ ([^()]+)\)", sentences.parse(scene))
        assert " ".join(leaves) == sentences.english(scene)


def test_brackets_of_the_parse_balance():
    for scene in sampled(500):
        text = sentences.parse(scene)
        depths = np.cumsum([{"(": 1, ")": -1}.get(character, 0) for character in text])
        assert depths[-1] == 0
        assert depths[:-1].min() == 1


def test_linearised_parse_agrees_with_the_brackets():
    for scene in sampled(500):
        tokens = []
        stack = []
        for token in sentences.parse(scene).split():
            if token.startswith("("):
                stack.append(token[1:])
                tokens.append(stack[-1])
                continue
            stack.pop()  # the part of speech of this word
            for _ in range(token.count(")") - 1):
                tokens.append(f"/{stack.pop()}")
        assert sentences.linearised_parse(scene).split() == tokens[1:-1]
