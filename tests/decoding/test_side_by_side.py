import threading

import pytest

from t2t_mm.decoding import side_by_side

SECONDS = 30  # no wait takes that long unless something is wrong


def test_results_come_in_the_order_of_the_items():
    is_last_done = threading.Event()

    def square(number):
        if number == 0:
            assert is_last_done.wait(SECONDS)
        if number == 1:
            is_last_done.set()
        return number * number

    assert [*side_by_side.in_order(square, range(9), number=2)] == [
        number * number for number in range(9)
    ]


def test_so_many_are_worked_on_at_the_same_time():
    meeting = threading.Barrier(3)

    def meet(_):
        return meeting.wait(SECONDS)

    found = [*side_by_side.in_order(meet, range(6), number=3)]

    assert sorted(found) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("number", [1, 2])
def test_items_are_taken_when_there_is_room(number):
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    results = side_by_side.in_order(lambda item: item, items(), number=number)
    assert next(results) == 0
    results.close()

    assert len(taken) == (1 if number == 1 else number + 1)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("where", ["work", "items"])
def test_an_error_comes_after_the_results_before_it(number, where):
    def fail(item, here):
        if item == 3 and here == where:
            raise OSError("no more")
        return item

    items = (fail(item, "items") for item in range(5))
    results = side_by_side.in_order(
        lambda item: fail(item, "work"), items, number=number
    )

    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="no more"):
        next(results)


def test_no_items_give_no_results():
    assert [*side_by_side.in_order(lambda item: item, [], number=2)] == []
