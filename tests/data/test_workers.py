import os
import signal
import subprocess
import sys
import time

import pytest

from t2t_mm.data import workers

LONG_SECONDS = 600


def _end(process_signal):
    os.kill(os.getpid(), process_signal)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_come_in_the_order_of_the_things(num_workers):
    with workers.pool(num_workers) as pool:
        assert list(pool.map(abs, range(-9, 0))) == list(range(9, 0, -1))


def test_things_are_taken_as_workers_become_free():
    taken = []

    def things():
        for number in range(100):
            taken.append(number)
            yield number

    with workers.pool(2) as pool:
        results = pool.map(abs, things())
        next(results)

        assert len(taken) <= 2 * workers.WAITING_PER_WORKER + 1


def test_after_an_error_nobody_waits_for_work_that_goes_on():
    with pytest.raises(KeyboardInterrupt):
        with workers.pool(2) as pool:
            results = pool.map(time.sleep, [0, LONG_SECONDS, LONG_SECONDS])
            next(results)
            raise KeyboardInterrupt


def test_a_worker_that_is_killed_is_told():
    with workers.pool(2) as pool:
        with pytest.raises(ChildProcessError, match="smaller --num_workers"):
            list(pool.map(_end, [signal.SIGKILL]))


PROGRAM = f"""
import os, signal, time
from t2t_mm.data import workers
if __name__ == "__main__":
    results = workers.Pool(2).map(time.sleep, [0, {LONG_SECONDS}, {LONG_SECONDS}, 0, 0])
    next(results)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_end_with_their_process(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)

    # Returns when nobody holds the pipe any more, which workers have as well.
    done = subprocess.run(
        [sys.executable, path], capture_output=True, timeout=LONG_SECONDS / 10
    )

    assert done.returncode == -signal.SIGKILL
