"""Search in plain Python, one input and one prefix at a time."""

import numpy as np

from t2t_mm.features import EOS_ID

FORBIDDEN = -1e8  # scores below it stand for what must not be


def greedy(next_scores, max_length):
    """Returns ids and score; `next_scores` maps a list of prefixes to arrays."""
    ids, total = [], 0.0
    while len(ids) < max_length and EOS_ID not in ids:
        (scores,) = next_scores([ids])
        ids = [*ids, int(np.argmax(scores))]
        total += scores[ids[-1]]
    return ids, total


def beam(next_scores, max_length, *, beam_size, alpha, stop_early=False):
    """Returns at most `beam_size` pairs of ids and score, the best first."""

    def penalty(length):
        return ((5 + length) / 6) ** alpha

    alive, finished = [([], 0.0)], []
    for length in range(1, max_length + 1):
        extended = [
            ([*ids, next_id], total + score)
            for (ids, total), scores in zip(
                alive, next_scores([ids for ids, _ in alive]), strict=True
            )
            for next_id, score in enumerate(scores)
            if score > FORBIDDEN
        ]
        extended = sorted(extended, key=lambda pair: -pair[1])[: 2 * beam_size]
        alive = [pair for pair in extended if pair[0][-1] != EOS_ID][:beam_size]
        finished += [
            (ids, total / penalty(length))
            for ids, total in extended
            if ids[-1] == EOS_ID
        ]
        finished = sorted(finished, key=lambda pair: -pair[1])[:beam_size]
        bound = alive[0][1] / penalty(max_length)
        wanted = 1 if stop_early else beam_size
        if len(finished) >= wanted and finished[wanted - 1][1] > bound:
            break
    return finished or [(ids, total / penalty(max_length)) for ids, total in alive]
