"""Beam search as in Tensor2Tensor, with as many results as beams.

The score of a sequence is its log-probability over ((5 + length) / 6)^alpha (Wu et al.
2016, arXiv:1609.08144); the length counts the id that ends it. Of every input the
likeliest `beam_size` sequences that go on are alive and as many of the best that have
ended are kept; each step extends the alive ones to their 2 * `beam_size` likeliest
successors, so that enough are left if some of those end.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_mm.decoding import steps
from t2t_mm.decoding.steps import State, StepFunction
from t2t_mm.features import EOS_ID, PAD_ID
from t2t_mm.layers import cache as caches

NO_SCORE = -1e7  # of what is not there
_PART = 128  # values of which the largest is looked for at once
_LEAST = NO_SCORE / 2  # log-probability that only what is not there, or forbidden, has


class Beams(NamedTuple):
    """What was found, the best first.

    Attributes:
      ids: `[batch, beam_size, longest]` int32; zeros after the end.
      scores: `[batch, beam_size]`; `NO_SCORE` where there is no result.
    """

    ids: tf.Tensor
    scores: tf.Tensor


class _Sets(NamedTuple):
    """The alive and the finished sequences; first axes `[batch, beam_size]`."""

    alive_ids: tf.Tensor
    alive_log_probabilities: tf.Tensor
    finished_ids: tf.Tensor
    finished_scores: tf.Tensor


def length_penalty(length: tf.Tensor, alpha: float) -> tf.Tensor:
    """Returns what log-probabilities of sequences of a length are divided by."""
    return ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** alpha


def search(
    step_function: StepFunction,
    initial_state: State,
    *,
    is_filler: tf.Tensor,
    max_lengths: tf.Tensor,
    beam_size: int,
    alpha: float,
    stop_early: bool,
    room: tf.Tensor | int | None = None,
    end_bonus: float = 0.0,
) -> Beams:
    """Searches for the sequences of the best scores.

    An input is done when nothing alive can come to beat its worst result, or its best
    with `stop_early`, or at its largest length. If nothing has ended by then, the
    results are what is alive.

    Args:
      step_function: scores the next id; it sees `beam_size` rows for each input.
      initial_state: of the step function, a row for each input.
      is_filler: `[batch]` bool, inputs that nobody waits for.
      max_lengths: `[batch]` int32, largest number of ids for each input.
      beam_size: number of sequences that are looked at side by side.
      alpha: the larger, the longer the results; 0 for plain log-probabilities.
      stop_early: go on no longer than the best result needs; the others may get worse.
      room: `longest` of the result; the largest of `max_lengths` if None.
      end_bonus: how far above 0 the step function's score of the end may be; of other
        ids it is at most 0.
    """
    batch = tf.shape(is_filler)[0]
    longest = tf.reduce_max(max_lengths)
    room = longest if room is None else room
    empty = tf.zeros([batch, beam_size, room], tf.int32)
    none = tf.fill([batch, beam_size], NO_SCORE)
    first = tf.concat([tf.zeros([batch, 1]), none[:, 1:]], 1)  # beams are the same yet

    own_rows = tf.range(batch * beam_size)[:, None]

    def goes_on(
        position: tf.Tensor,
        done: tf.Tensor,
        sets: _Sets,
        state: State,
        writers: tf.Tensor,
    ) -> tf.Tensor:
        del sets, state, writers
        return (position < longest) & ~tf.reduce_all(done)

    def body(
        position: tf.Tensor,
        done: tf.Tensor,
        sets: _Sets,
        state: State,
        writers: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor, _Sets, State, tf.Tensor]:
        last = tf.gather(sets.alive_ids, tf.maximum(position - 1, 0), axis=2)
        last = tf.where(position == 0, PAD_ID, last)
        # [batch * beam, room]: the newest position is written by the row itself.
        writers = tf.where(tf.range(room) == position, own_rows, writers)
        lineage = caches.Lineage(writers)
        with caches.following(lineage):
            scores, next_state = step_function(tf.reshape(last, [-1]), state, position)
        grown, parents = _grow(sets, scores, position, beam_size, alpha)
        sets = _Sets(*map(lambda old, new: _where(done, old, new), sets, grown))
        # The likeliest that can still come: an end right after what is alive, or late.
        best = sets.alive_log_probabilities[:, 0] + end_bonus
        length = tf.where(best > 0, position + 2, max_lengths)
        bound = best / length_penalty(length, alpha)
        done |= _is_settled(sets, bound, stop_early)
        done |= position + 1 >= max_lengths
        # [batch, beam] -> [batch * beam]
        rows = tf.reshape(parents + beam_size * tf.range(batch)[:, None], [-1])
        next_state = _reorder(state, next_state, rows, lineage)
        return position + 1, done, sets, next_state, tf.gather(writers, rows)

    _, _, sets, _, _ = tf.while_loop(
        goes_on,
        body,
        (
            tf.constant(0),
            is_filler,
            _Sets(empty, first, empty, none),
            steps.repeat_rows(initial_state, beam_size),
            tf.zeros([batch * beam_size, room], tf.int32),
        ),
    )
    has_ended = tf.reduce_max(sets.finished_scores, 1) > NO_SCORE
    penalty = length_penalty(max_lengths, alpha)[:, None]
    alive = _scores(sets.alive_log_probabilities, penalty)
    return Beams(
        _where(has_ended, sets.finished_ids, sets.alive_ids),
        _where(has_ended, sets.finished_scores, alive),
    )


def _grow(
    sets: _Sets, scores: tf.Tensor, position: tf.Tensor, beam_size: int, alpha: float
) -> tuple[_Sets, tf.Tensor]:
    """Extends the alive sequences; returns also the parent of each, `[batch, beam]`."""
    vocab_size = tf.shape(scores)[1]
    batch = tf.shape(sets.alive_ids)[0]
    scores = tf.reshape(scores, [batch, beam_size, vocab_size])
    totals = sets.alive_log_probabilities[:, :, None] + scores
    # [batch, beam, vocab] -> [batch, beam * vocab]
    totals, index = _largest(tf.reshape(totals, [batch, -1]), 2 * beam_size)
    parents, next_ids = index // vocab_size, index % vocab_size
    here = tf.range(tf.shape(sets.alive_ids)[2]) == position
    ids = tf.gather(sets.alive_ids, parents, batch_dims=1)
    ids = tf.where(here, next_ids[:, :, None], ids)
    ends = next_ids == EOS_ID

    # Each parent ends once at most, so there are enough that do not.
    _, alive = tf.math.top_k(tf.where(ends, totals.dtype.min, totals), beam_size)
    ended = _scores(totals, length_penalty(position + 1, alpha))
    ended = tf.where(ends, ended, NO_SCORE)
    all_scores = tf.concat([sets.finished_scores, ended], 1)
    finished_scores, finished = tf.math.top_k(all_scores, beam_size)
    all_finished = tf.concat([sets.finished_ids, ids], 1)
    grown = _Sets(
        alive_ids=tf.gather(ids, alive, batch_dims=1),
        alive_log_probabilities=tf.gather(totals, alive, batch_dims=1),
        finished_ids=tf.gather(all_finished, finished, batch_dims=1),
        finished_scores=finished_scores,
    )
    return grown, tf.gather(parents, alive, batch_dims=1)


def _largest(values: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Does what `tf.math.top_k` does, for long rows in a quarter of the time.

    What is among the largest is in one of the `count` parts with the largest maxima.
    """
    width = tf.shape(values)[1]
    num_parts = -(-width // _PART)
    padding = [[0, 0], [0, num_parts * _PART - width]]
    parts = tf.reshape(
        tf.pad(values, padding, constant_values=values.dtype.min),
        [-1, num_parts, _PART],
    )
    # In their order, so that of equal values the first stays the first.
    chosen = tf.sort(
        tf.math.top_k(tf.reduce_max(parts, 2), tf.minimum(count, num_parts)).indices
    )
    candidates = tf.gather(parts, chosen, batch_dims=1)
    shape = [-1, tf.shape(chosen)[1] * _PART]
    largest, index = tf.math.top_k(tf.reshape(candidates, shape), count)
    part = tf.gather(chosen, index // _PART, batch_dims=1)
    return largest, part * _PART + index % _PART


def _scores(log_probabilities: tf.Tensor, penalty: tf.Tensor) -> tf.Tensor:
    """Returns scores; `NO_SCORE` of what is not there."""
    is_there = log_probabilities > _LEAST
    return tf.where(is_there, log_probabilities / penalty, NO_SCORE)


def _is_settled(sets: _Sets, bound: tf.Tensor, stop_early: bool) -> tf.Tensor:
    """Returns whether no score up to a bound can come into the results, `[batch]`."""
    reduce = tf.reduce_max if stop_early else tf.reduce_min
    return reduce(sets.finished_scores, 1) > bound


def _reorder(old: State, new: State, rows: tf.Tensor, lineage: caches.Lineage) -> State:
    """Gives every beam the state of its parent, which was in `rows` `[batch * beam]`.

    What a step hands on as it is, such as the keys of the inputs, is the same for all
    beams of an input, and is left alone. So is what is read by lineage.
    """

    def gather(before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        stays = after is before or lineage.covers(after)
        return after if stays else tf.gather(after, rows)

    lineage.check(tf.nest.flatten(new))
    return tf.nest.map_structure(gather, old, new)


def _where(condition: tf.Tensor, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the rows of `first` where a condition `[batch]` holds."""
    shape = [-1] + [1] * (first.shape.rank - 1)
    return tf.where(tf.reshape(condition, shape), first, second)
