"""Two processes on this machine that train together."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow

MAX_WAIT_SECONDS = 600
HPARAMS = (
    "batch_size=64,max_buckets=2,hidden_size=8,filter_size=8,num_heads=2,"
    "num_hidden_layers=1,dropout=0.0,attention_dropout=0.0,relu_dropout=0.0,"
    "learning_rate_warmup_steps=2,learning_rate_constant=0.002"
)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _start(digits_dir, output_dir, steps, tf_config=None):
    output_dir.mkdir(exist_ok=True)
    number = tf_config["task"]["index"] if tf_config else 0
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TF_CONFIG", None)
    if tf_config:
        environment["TF_CONFIG"] = json.dumps(tf_config)
    with open(output_dir / f"worker_{number}.log", "ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "t2t_mm.bin.t2t_trainer",
                "--problems=copy_digits,reverse_digits",
                "--model=transformer",
                "--hparams_set=transformer_tiny",
                f"--hparams={HPARAMS}",
                f"--data_dir={digits_dir}",
                f"--output_dir={output_dir}",
                f"--train_steps={steps}",
                "--eval_every_steps=10",
                "--save_every_steps=5",
                "--log_every_steps=5",
                "--eval_steps=2",
            ],
            env=environment,
            stdout=log,
            stderr=log,
        )


def _start_two(digits_dir, output_dir, steps):
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    return [
        _start(
            digits_dir,
            output_dir,
            steps,
            {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            },
        )
        for index in range(2)
    ]


def _wait(workers):
    return [worker.wait(MAX_WAIT_SECONDS) for worker in workers]


def _wait_for(path, workers):
    deadline = time.monotonic() + MAX_WAIT_SECONDS
    while not path.exists():
        assert all(worker.poll() is None for worker in workers)
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _log(output_dir, number):
    return (output_dir / f"worker_{number}.log").read_text()


def _tensors(output_dir, step):
    reader = tf.train.load_checkpoint(str(output_dir / f"ckpt-{step}"))
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if not key.startswith(("_CHECKPOINTABLE", "save_counter"))
    }


@pytest.fixture(scope="module")
def together(digits_dir, tmp_path_factory):
    """Returns the folder of a run of two workers that nothing disturbed."""
    folder = tmp_path_factory.mktemp("together")
    assert _wait(_start_two(digits_dir, folder, 12)) == [0, 0]
    return folder


def test_two_workers_equal_one_device(digits_dir, together, tmp_path):
    assert _wait([_start(digits_dir, tmp_path, 12)]) == [0]

    one, two = _tensors(tmp_path, 12), _tensors(together, 12)
    assert one.keys() == two.keys()
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, atol=1e-5, err_msg=key)


def test_the_chief_alone_writes(together):
    assert "checkpoint | step 12" in _log(together, 0)
    assert "checkpoint |" not in _log(together, 1)
    assert "train | step 10" in _log(together, 1)
    lines = (together / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows if row["split"] == "dev"] == [10, 10, 12, 12]
    # events.out.tfevents.TIME.HOST.PROCESS.NUMBER.v2
    events = [path.name for path in (together / "summaries").rglob("events.*")]
    assert len({name.split(".")[-3] for name in events}) == 1
    assert len(events) > 1


@pytest.mark.parametrize("killed", [0, 1])
def test_after_the_loss_of_a_worker_both_go_on_from_the_checkpoint(
    killed, digits_dir, together, tmp_path
):
    workers = _start_two(digits_dir, tmp_path, 12)
    _wait_for(tmp_path / "ckpt-5.index", workers)
    workers[killed].kill()
    assert all(_wait(workers))  # statuses that are not 0
    assert not (tmp_path / "ckpt-12.index").exists()

    assert _wait(_start_two(digits_dir, tmp_path, 12)) == [0, 0]

    assert "restored | step" in _log(tmp_path, 1 - killed)
    expected, found = _tensors(together, 12), _tensors(tmp_path, 12)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_a_signal_to_one_worker_stops_both_after_the_same_step(digits_dir, tmp_path):
    workers = _start_two(digits_dir, tmp_path, 10_000)
    _wait_for(tmp_path / "ckpt-5.index", workers)

    workers[1].send_signal(signal.SIGTERM)

    assert _wait(workers) == [0, 0]
    saved = tf.train.latest_checkpoint(str(tmp_path))
    step = saved.rpartition("-")[2]
    for number, reason in enumerate(("a signal to another worker", "SIGTERM")):
        assert f"Stopped by {reason} at step {step}" in _log(tmp_path, number)
