import math

import pytest

from t2t_mm.training import expert_summary


def test_experts_that_all_tasks_use_alike_tell_nothing():
    loads = {"a": [0.5, 0.25, 0.25], "b": [0.5, 0.25, 0.25]}

    assert expert_summary.mutual_information(loads) == pytest.approx(0.0)


def test_experts_of_one_task_each_tell_which():
    loads = {"a": [0.5, 0.5, 0.0, 0.0], "b": [0, 0, 1, 0], "c": [0, 0, 0, 1]}

    assert expert_summary.mutual_information(loads) == pytest.approx(math.log(3))


def test_mutual_information_by_hand():
    loads = {"a": [0.75, 0.25], "b": [0.25, 0.75]}

    # Both experts are used alike: H(expert) - H(expert | task).
    of_task = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = math.log(2) - of_task
    assert expert_summary.mutual_information(loads) == pytest.approx(expected)


def test_tasks_that_were_not_evaluated_do_not_count():
    loads = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.0, 0.0]}

    assert expert_summary.mutual_information(loads) == pytest.approx(math.log(2))
    assert expert_summary.mutual_information({"c": [0.0, 0.0]}) == 0.0


def test_a_line_says_what_matters():
    loads = {"a": [0.5, 0.5, 0.0, 0.0], "b": [1.0, 0.0, 0.0, 0.0]}

    line = expert_summary.describe(loads, {"a": 1.0, "b": 1.2})

    assert line.startswith("busiest expert 3.00 times the mean, 2 of 4 idle; ")
    assert "gate entropy 1.10 of 1.39 nats" in line
    assert line.endswith("of 0.693 nats of the task")
    alone = expert_summary.describe({"a": [0.5, 0.5]}, {"a": 1.0})
    assert "task" not in alone
