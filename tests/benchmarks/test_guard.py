import sys

from benchmarks import guard, guard_pairs


def _count_to(number):
    return lambda: sum(range(number))


def _pair(**settings):
    return guard_pairs.Pair(name="quick/slow sums", floor=5.0, repeats=3, **settings)


def test_a_pair_holds_where_the_first_path_is_faster():
    row = guard.check(_pair(fast=_count_to(100), slow=_count_to(100_000)))

    assert row["holds"]
    assert row["tries"] == 1


def test_a_path_that_became_slow_is_measured_again_and_named(monkeypatch, capsys):
    slowed = _pair(fast=_count_to(100_000), slow=_count_to(100_000))
    monkeypatch.setattr(guard_pairs, "MAKERS", [lambda: slowed])
    monkeypatch.setattr(sys, "argv", ["guard"])

    status = guard.main()

    assert status == 1
    printed = capsys.readouterr()
    assert '"tries": 2' in printed.out
    assert "'quick/slow sums' must be at least 5.0 times faster" in printed.err
