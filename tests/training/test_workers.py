"""What workers of one run tell each other, without starting any."""

import pytest
import tensorflow as tf

from t2t_mm.features import Split
from t2t_mm.training import distribution, evaluation


class Worker(distribution.Distribution):
    """One of two workers; the sums are those of both, of which the chief has 0.1."""

    num_workers = 2

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.num_replicas = 2
        self.asked = []

    @property
    def worker(self):
        return self.number

    def _sum_over_workers(self, numbers):
        self.asked.append(list(numbers))
        return [0.1] * len(numbers)


def _evaluator(worker, decoded):
    names = {"copy": ["decoded_cer"]}
    return evaluation.Evaluator(
        None, {}, None, worker, decoded=decoded, decoded_names=names
    )


def test_the_chief_decodes_for_all():
    chief, other = Worker(0), Worker(1)

    def refuse(problem, split):
        raise AssertionError("another worker decodes")

    of_chief = _evaluator(chief, lambda problem, split: {"decoded_cer": 0.1})
    of_other = _evaluator(other, refuse)

    expected = {"decoded_cer": 0.1}
    assert of_chief._decode("copy", Split.EVAL) == expected
    assert of_other._decode("copy", Split.EVAL) == expected
    assert (chief.asked, other.asked) == ([[0.1]], [[0.0]])


def test_a_lost_worker_is_looked_for_in_the_log_of_the_chief():
    for number, words in (
        (
            1,
            "first that of worker 0, which alone writes. Start .* says: Collective ops",
        ),
        (0, "has the cause. Start all"),
    ):
        with pytest.raises(ConnectionError, match=words):
            with Worker(number).naming_lost_workers():
                message = "{{function_node __wrapped__X}} Collective ops is gone"
                raise tf.errors.UnavailableError(None, None, message)


def test_an_error_of_one_worker_is_named_as_what_the_others_miss_it_for(caplog):
    with pytest.raises(FileNotFoundError, match="no records"):
        with Worker(0).naming_lost_workers():
            raise FileNotFoundError("There are no records.")

    assert "Worker 0 ends with an error of its own" in caplog.text
    assert "this is why: There are no records." in caplog.text
