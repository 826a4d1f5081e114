import os
import signal
import socket
import subprocess
import sys

import pytest

from t2t_mm.runs import folder_lock

HOLDER = """
import sys, time
from t2t_mm.runs import folder_lock
with folder_lock.held(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Returns a process that holds the lock of `tmp_path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_holder_is_refused_until_the_first_is_killed(holder, tmp_path):
    named = f"process {holder.pid} on {socket.gethostname()} is at work"

    with pytest.raises(BlockingIOError, match=named):
        with folder_lock.held(str(tmp_path)):
            pass

    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with folder_lock.held(str(tmp_path)):
        assert str(os.getpid()) in (tmp_path / folder_lock.FILE).read_text()


def test_it_is_waited_for(holder, tmp_path):
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            holder.kill()
            holder.wait()

    folder_lock.wait_until_free(str(tmp_path), sleep=sleep)

    assert len(naps) == 2


def test_a_folder_is_free_after_its_holder_and_need_not_exist(tmp_path):
    folder = str(tmp_path / "run")
    for _ in range(2):
        with folder_lock.held(folder):
            with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"):
                with folder_lock.held(folder):
                    pass


def test_a_disk_without_locks_gives_a_warning(tmp_path, monkeypatch, caplog):
    def flock(file, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(folder_lock.fcntl, "flock", flock)
    with folder_lock.held(str(tmp_path)):
        pass

    assert "knows no locks (Operation not supported)" in caplog.text
