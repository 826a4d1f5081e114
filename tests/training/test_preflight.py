import dataclasses
import os

import pytest
import tensorflow as tf

import tiny_models
from t2t_mm.data.bucketing import Bucket
from t2t_mm.training import activations, memory, preflight, preparation, trial
from t2t_mm.training.run_config import RunConfig

BUCKET = Bucket(batch_size=3, inputs_length=5, targets_length=7)


@pytest.fixture(scope="module")
def parts(smallest_hparams, digits_dir):
    return preparation.prepare(
        model_name="transformer",
        hparams_set="transformer_tiny",
        hparams=dataclasses.replace(
            smallest_hparams, ema_decay=0.5, learning_rate_factors="commands:0"
        ),
        problem_names=("copy_digits", "reverse_digits"),
        config=RunConfig(eval_steps=1),
        data_dir=digits_dir,
    )


@pytest.fixture(scope="module")
def rows(parts):
    return preflight.estimate(parts)


def _peak(function, *shapes):
    specs = [tf.TensorSpec(shape, tf.float32) for shape in shapes]
    graph = tf.function(function).get_concrete_function(*specs).graph
    results = {tensor.name for tensor in graph.outputs}
    return activations._peak_bytes(graph.get_operations(), results)


def test_a_result_is_held_until_it_was_read_for_the_last_time():
    def chain(x):
        first = tf.matmul(x, x)  # 100 bytes
        second = tf.matmul(first, first)
        third = tf.matmul(second, second)  # `first` is gone
        return tf.matmul(third, third)  # a result of the graph does not count

    def long_lived(x):
        first = tf.matmul(x, x)
        second = tf.matmul(first, first)
        third = tf.matmul(second, second)
        return tf.matmul(third, first)

    assert _peak(chain, [5, 5]) == 200
    assert _peak(long_lived, [5, 5]) == 300


def test_views_and_writing_in_place_take_nothing():
    def views(x):
        y = tf.reshape(tf.matmul(x, x), [25])  # 100 bytes
        return tf.matmul(tf.reshape(tf.nn.relu(tf.identity(y)), [5, 5]), x)

    assert _peak(views, [5, 5]) == 100


def test_activations_are_in_proportion_to_the_batch():
    model = tiny_models.make_model(
        "transformer_tiny", problems={"t": tiny_models.PROBLEMS["text_alone"]}
    )
    graph = activations.StepGraph(model, "t", model.trainable_variables)
    whole = [
        graph.peak_bytes(Bucket(batch_size=n, inputs_length=0, targets_length=40))
        for n in (16, 32, 64)
    ]

    growth = (whole[2] - whole[1]) / (2 * (whole[1] - whole[0]))
    assert growth == pytest.approx(1.0, rel=0.05)
    logits = 16 * 40 * tiny_models.TEXT_VOCAB_SIZE * 4
    assert whole[0] > 3 * logits


def test_the_state_is_counted_to_the_byte(parts):
    needed = preflight.state(parts)

    numbers = tiny_models.count_parameters(parts.model)
    frozen = tf.size(parts.model.commands).numpy()
    trained = numbers - frozen
    clocks = 8 * len(parts.trained)  # an int64 each
    assert needed.parameters == needed.average == 4 * numbers
    assert needed.gradients == 4 * trained
    assert needed.slots == 2 * 4 * trained + clocks
    assert needed.total == sum(dataclasses.astuple(needed))


def test_all_shapes_of_all_problems_are_there(parts, rows):
    shapes = {name: batches.shapes() for name, batches in parts.batches.items()}

    assert {(row.problem, row.bucket) for row in rows} == {
        (name, bucket) for name, buckets in shapes.items() for bucket in buckets
    }
    assert all(row.activations > 0 for row in rows)


def test_a_report_says_what_is_largest_and_whether_it_fits(parts, rows):
    needed = preflight.state(parts)
    largest = max(rows, key=lambda row: row.activations)

    def report(num_bytes):
        device = memory.Device("GPU:0", num_bytes)
        return preflight.report("adam", needed, rows, device)

    total = needed.total + largest.activations
    assert f"The most is {memory.to_text(total)}, for {largest.problem}" in report(None)
    assert "too little" not in report(total)
    assert "too little: lower `batch_size`" in report(total - 1)
    assert "slots of adam" in report(None)


@pytest.mark.slow
def test_a_trial_tries_the_largest_batch_of_every_problem(parts, rows):
    tried = trial.run(parts, rows)

    measured = [row for row in tried if row.measured is not None]
    assert {row.problem for row in measured} == {"copy_digits", "reverse_digits"}
    for row in measured:
        assert row.measured > 2**20
        same = [r.activations for r in rows if r.problem == row.problem]
        assert row.activations == max(same)


def test_memory_of_the_process_grows_and_shrinks():
    memory.reset_peak()
    before = memory.peak_bytes()
    block = os.urandom(64 * 2**20)
    del block
    peak = memory.peak_bytes()
    memory.reset_peak()

    assert peak - before > 50 * 2**20
    assert memory.peak_bytes() < peak - 50 * 2**20


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (5 * 2**40, "5.0 TiB")],
)
def test_sizes_are_readable(num_bytes, text):
    assert memory.to_text(num_bytes) == text
