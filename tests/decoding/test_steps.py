import numpy as np
import tensorflow as tf

from t2t_mm.decoding import steps

LOGITS = tf.constant([[0.0, 1.0, 2.0, 3.0], [5.0, 0.0, 0.0, 0.0]])


def _step(ids, state, position):
    return LOGITS, state + 1


def _softmax(logits):
    exponentials = np.exp(np.asarray(logits, np.float64))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_one_model_gives_its_log_probabilities():
    scores, state = steps.mean_of([_step])(tf.constant([0, 0]), (3,), tf.constant(0))

    np.testing.assert_allclose(np.exp(scores), _softmax(LOGITS), rtol=1e-5)
    assert state == (4,)


def test_several_models_give_the_mean_of_their_probabilities():
    other = tf.constant([[9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])

    scores, state = steps.mean_of(
        [_step, lambda ids, state, position: (other, state * 10)]
    )(tf.constant([0, 0]), (3, 5), tf.constant(0))

    mean = (_softmax(LOGITS) + _softmax(other)) / 2
    np.testing.assert_allclose(np.exp(scores), mean, rtol=1e-5)
    assert state == (4, 50)


def test_the_end_comes_not_too_early_and_costs_something():
    step = steps.with_ends(_step, eos_penalty=0.5)
    state = (0, tf.constant([1, 2]))

    scores = [step(None, state, tf.constant(p))[0].numpy() for p in range(3)]

    np.testing.assert_array_equal(scores[0][:, 1], [steps.FORBIDDEN] * 2)
    np.testing.assert_array_equal(scores[1][:, 1], [0.5, steps.FORBIDDEN])
    np.testing.assert_array_equal(scores[2][:, 1], [0.5, -0.5])
    np.testing.assert_array_equal(scores[0][:, [0, 2, 3]], LOGITS.numpy()[:, [0, 2, 3]])


def test_given_ids_are_the_only_ones_and_score_nothing():
    step = steps.with_given(_step)
    state = (0, tf.constant([[3, 2], [2, 0]]))
    no = steps.FORBIDDEN

    scores = []
    for position in range(4):
        result, state = step(None, state, tf.constant(position))
        scores.append(result.numpy())

    np.testing.assert_array_equal(scores[0], [[no, no, no, 0], [no, no, 0, no]])
    np.testing.assert_array_equal(scores[1], [[no, no, 0, no], LOGITS[1]])
    np.testing.assert_array_equal(scores[2], LOGITS)
    np.testing.assert_array_equal(scores[3], LOGITS)
    assert state[0] == 4


def test_no_given_ids_change_nothing():
    step = steps.with_given(_step)

    scores, _ = step(None, (0, tf.zeros([2, 0], tf.int32)), tf.constant(0))

    np.testing.assert_array_equal(scores, LOGITS)


def test_rows_are_repeated_side_by_side():
    state = {"a": tf.constant([1, 2]), "b": [tf.constant([[3], [4]])]}

    repeated = steps.repeat_rows(state, 2)

    np.testing.assert_array_equal(repeated["a"], [1, 1, 2, 2])
    np.testing.assert_array_equal(repeated["b"][0], [[3], [3], [4], [4]])
