import functools
import re

import numpy as np
import parsing_corpora
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import registry
from t2t_mm.data import output_rules, text_encoder, trees
from t2t_mm.decoding import constraints as constraints_lib
from t2t_mm.decoding import decoder, sequential, tree_constraint
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import EOS_ID
from t2t_mm.problems import parsing

TREES = [
    parsing_corpora.SYMBOLS,
    "S NP PRP /NP VP VBP /VP . /S",
    "NP -LRB- NP NP NNP /NP NNP POS /NP WHPP # /WHPP -RRB- /NP",
    "S SBAR SBARQ S SQ X XX /X /SQ /S /SBARQ /SBAR /S",
    "VB",
]
# "S" and "NN" go on as "SBAR" and "NNS"; what follows a space has other ids.
IDS = {
    "S": [2],
    "SBAR": [2, 3],
    "/S": [4],
    "/SBAR": [4, 3],
    "NN": [5],
    "NNS": [5, 6],
    " S": [7],
    " SBAR": [7, 8],
    " /S": [9],
    " /SBAR": [10, 11, 12],
    " NN": [13],
    " NNS": [13, 14],
}
RULE = output_rules.TreeRule(constituents=("S", "SBAR"), tags=("NN", "NNS"))


@pytest.fixture(scope="module")
def encoders():
    """Bytes, subwords as parsing problems have them, and subwords that know little."""
    texts = [f"{tree} {parsing_corpora.sentence('a', 'b', 'c')}" for tree in TREES]
    build = functools.partial(text_encoder.build_subwords, texts * 5, 360)
    return {
        "bytes": text_encoder.ByteTextEncoder(),
        "subwords": text_encoder.SubwordTextEncoder(build(parsing.RESERVED_TOKENS)),
        "others": text_encoder.SubwordTextEncoder(build()),
    }


def _of(encoder):
    return tree_constraint.TreeConstraint(
        parsing.PENN_TREES, encoder.encode, encoder.vocab_size
    )


def _count_tags(symbols):
    return sum(1 for _ in trees.read_symbols(symbols).leaves())


@pytest.mark.parametrize("name", ["bytes", "subwords", "others"])
def test_whatever_is_preferred_outputs_are_trees_over_their_words(encoders, name):
    encoder = encoders[name]
    constraint = _of(encoder)
    num_words = tf.constant([0, 1, 2, 9, 4, 3, 1, 12])
    least = int(tf.reduce_max(constraint.least_length(num_words)))
    random = np.random.default_rng(1)

    @tf.function
    def search(scores, max_length):
        max_lengths = tf.fill([8], max_length)
        return sequential.extend(
            constraints_lib.constrain(
                lambda ids, state, position: (scores[position], state), constraint
            ),
            (tf.zeros([8]), constraint.start(num_words, max_lengths)),
            choose=sequential.best,
            is_filler=tf.zeros([8], tf.bool),
            max_lengths=max_lengths,
        ).ids

    for max_length in (least, least + 3, 3 * least):
        scores = random.normal(size=[max_length, 8, encoder.vocab_size])
        found = search(tf.constant(scores, tf.float32), tf.constant(max_length)).numpy()
        assert (found == EOS_ID).any(1).all()
        outputs = [encoder.decode(row) for row in found]
        assert outputs[0] == ""
        for output, count in zip(outputs[1:], num_words[1:].numpy(), strict=True):
            trees.delinearize(["word"] * count, output)


@pytest.mark.parametrize("name", ["bytes", "subwords", "others"])
def test_every_tree_is_allowed_at_every_position(encoders, name):
    encoder = encoders[name]
    constraint = _of(encoder)
    advance, allowed = map(tf.function, (constraint.advance, constraint.allowed))
    rows = [[*encoder.encode(tree), EOS_ID] for tree in TREES]
    longest = max(map(len, rows))
    num_words = tf.constant(list(map(_count_tags, TREES)))
    state = constraint.start(num_words, tf.fill([len(TREES)], longest))

    for position in range(longest):
        ids = [row[position] if position < len(row) else 0 for row in rows]
        is_allowed = allowed(state).numpy()
        assert all(is_allowed[row, ids[row]] for row in np.flatnonzero(ids))
        state = advance(state, tf.constant(ids))


def _allowed_after(prefix, num_words, max_length=30):
    constraint = tree_constraint.TreeConstraint(RULE, IDS.__getitem__, 15)
    state = constraint.start(tf.constant([num_words]), tf.constant([max_length]))
    for symbol_id in prefix:
        state = constraint.advance(state, tf.constant([symbol_id]))
    return np.flatnonzero(constraint.allowed(state)[0]).tolist()


@pytest.mark.parametrize(
    ("prefix", "num_words", "allowed"),
    [
        ([], 2, [2]),
        ([], 1, [2, 5]),  # one word may stand alone
        ([], 0, [EOS_ID]),
        ([5], 1, [EOS_ID, 6]),
        ([5, 6], 1, [EOS_ID]),
        ([2], 2, [3, 7, 13]),  # goes on as SBAR, or holds something
        ([2, 3], 2, [7, 13]),
        ([2, 13], 2, [7, 13, 14]),  # S cannot be closed: a word is left
        ([2, 13], 1, [9, 14]),
        ([2, 13, 14], 1, [9]),
        ([2, 7, 13], 2, [7, 9, 13, 14]),  # the inner S may be closed
        ([2, 7, 13], 1, [9, 14]),
        ([2, 7, 13, 9], 1, [9]),
        ([2, 3, 7, 13, 9], 1, [10]),
        ([2, 3, 7, 13, 9, 10], 1, [11]),  # in the middle of a symbol
        ([2, 3, 7, 13, 9, 10, 11, 12], 1, [EOS_ID]),
        ([2, 3, 7, 13, 9, 10, 11, 12, 0, 0], 1, [EOS_ID]),  # padding changes nothing
    ],
)
def test_what_may_follow(prefix, num_words, allowed):
    assert _allowed_after(prefix, num_words) == allowed


@pytest.mark.parametrize(
    ("prefix", "num_words", "max_length", "allowed"),
    [
        ([], 1, 4, [2, 5]),  # S NN /S and the end
        ([2], 1, 4, [13]),  # neither SBAR nor NNS nor another S has room
        ([2, 13], 1, 4, [9]),
        ([2], 1, 5, [13]),  # room for NNS
        ([2, 13], 1, 5, [9, 14]),
        ([2], 1, 6, [7, 13]),
        ([2, 7], 1, 6, [13]),  # " SBAR" would take 2 + 3
        ([2, 7], 1, 9, [7, 8, 13]),
    ],
)
def test_everything_is_closed_before_the_room_is_used_up(
    prefix, num_words, max_length, allowed
):
    assert _allowed_after(prefix, num_words, max_length) == allowed


def test_the_least_length_is_that_of_a_flat_tree():
    constraint = tree_constraint.TreeConstraint(RULE, IDS.__getitem__, 15)

    least = constraint.least_length(tf.constant([0, 1, 7]))

    np.testing.assert_array_equal(least, [1, 4, 10])


def test_constituents_are_nested_to_a_bounded_depth():
    depth = tree_constraint.MAX_DEPTH

    assert 7 in _allowed_after([2] + [7] * (depth - 2), 1, 1000)
    assert _allowed_after([2] + [7] * (depth - 1), 1, 1000) == [8, 13]


@pytest.mark.parametrize(
    ("constituents", "tags", "message"),
    [
        (["S", "NN"], ["NN", "VB"], "both is NN"),
        (["S"], [], "must be labels of constituents and tags"),
        (["/S"], ["NN"], "does not begin with /; got '/S'"),
        (["S"], ["NN P"], "must be a word .* got 'NN P'"),
    ],
)
def test_symbols_that_cannot_be_told_apart_are_refused(constituents, tags, message):
    with pytest.raises(ValueError, match=message):
        output_rules.TreeRule(constituents=constituents, tags=tags)


def test_a_vocabulary_that_hides_where_a_symbol_ends_is_refused():
    ids = IDS | {" NNS": [13, 7]}

    with pytest.raises(
        ValueError, match="an id, 7, that may be the rest of one symbol"
    ):
        tree_constraint.TreeConstraint(RULE, ids.__getitem__, 15)


def test_a_problem_without_a_rule_is_refused():
    with pytest.raises(ValueError, match="and copy_digits has none"):
        tree_constraint.of_problem(registry.problem("copy_digits"), "", 258)


@pytest.fixture(scope="module")
def untrained():
    """A parsing problem of bytes, its specs, and a model that knows nothing."""
    problem = registry.problem("treebank_folder")
    problem.choose_vocabulary(registry.BYTE_VOCABULARY)
    specs = {problem.name: problem.feature_specs("")}
    model = tiny_models.make_model("transformer_tiny", specs)
    return tiny_models.perturb(model, deviation=0.3), problem


def test_outputs_of_an_untrained_model_are_trees(untrained):
    config = DecodeConfig(constrained=True, extra_length=5)
    inputs = ["I run .", "Run", "", "a  b\tc\u00a0c ", "-LRB- é 3"]

    outputs = decoder.Decoder(*untrained, config=config, vocab_dir="").decode(inputs)

    assert outputs[2] == ""
    del inputs[2], outputs[2]
    for text, output in zip(inputs, outputs, strict=True):
        words = re.split("[ \t]+", text.strip(" "))
        assert trees.delinearize(words, output).words() == words
