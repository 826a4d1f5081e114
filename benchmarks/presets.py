"""Step time and peak memory of hparams sets: forward and training, task by task.

    python benchmarks/presets.py [--hparams_sets=multimodel_tiny,...]

Every set and task runs in a process of its own, whose peak memory is that of the task.
Batches are random; the first two steps, which trace the graph, are not timed.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

TASKS = {  # examples, input length, target length
    "text": (8, 32, 32),
    "caption": (2, 1, 16),
    "speech": (2, 400, 16),
    "class": (2, 1, 1),
}
SETS = (
    "multimodel_tiny",
    "multimodel_small",
    "multimodel_base",
    "multimodel_modern",
    "multimodel_paper_single",
    "multimodel_t2t",
    "transformer_base",
    "transformer_big",
)
ROUNDS = 5


def make_specs(task):
    """Returns specs of inputs and targets in the sizes of the paper."""
    from t2t_mm.features import FeatureSpec

    text = FeatureSpec(modality="symbol", vocab_size=8192, vocabulary="tokens")
    image = FeatureSpec(modality="image", shape=(299, 299, 3), dtype="uint8")
    speech = FeatureSpec(
        modality="audio_spectral", shape=(None, 80, 1), dtype="float32"
    )
    label = FeatureSpec(
        modality="class_label", vocab_size=1000, vocabulary="things", shape=(1,)
    )
    inputs = {"text": text, "caption": image, "speech": speech, "class": image}[task]
    return {"inputs": inputs, "targets": label if task == "class" else text}


def make_batch(specs, sizes):
    """Returns a batch of random data without padding."""
    import numpy as np
    import tensorflow as tf

    examples, *lengths = sizes
    random = np.random.default_rng(0)
    batch = {"target_space_id": tf.constant(3)}
    for (role, spec), length in zip(specs.items(), lengths, strict=True):
        shape = [examples, spec.shape[0] or length, *spec.shape[1:]]
        if spec.dtype == "float32":
            array = random.normal(size=shape)
        else:
            array = random.integers(2, spec.vocab_size or 256, shape)
        batch[role] = tf.constant(array.astype(spec.dtype))
        batch[f"{role}_length"] = tf.fill([examples], length)
    return batch


def median_seconds(function):
    """Returns the median time of calls after the first two."""
    seconds = []
    for _ in range(ROUNDS + 2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[2:])


def measure(hparams_set, task):
    """Prints one row; meant for a process of its own."""
    import tensorflow as tf

    from t2t_mm import registry
    from t2t_mm.layers import randomness
    from t2t_mm.training import gradients as gradients_lib
    from t2t_mm.training import optimizers

    registry.import_registrations()
    registry.import_models()
    hparams = registry.HPARAMS.get(hparams_set)()
    specs = make_specs(task)
    batch = make_batch(specs, TASKS[task])
    (cls,) = (
        registry.MODELS.get(name)
        for name in registry.MODELS.names()
        if registry.MODELS.get(name).hparams_cls is type(hparams)
    )
    model = cls(hparams, {task: specs})
    variables = model.trainable_variables
    optimizer = optimizers.make_optimizer(variables, hparams)

    @tf.function
    def forward():
        return model(batch, problem=task).loss.total

    @tf.function
    def train():
        rng = randomness.RandomStream(tf.constant([1, 2]))
        with tf.GradientTape() as tape:
            output = model(batch, problem=task, rng=rng)
            loss = output.loss.total + sum(output.extra_losses.values())
        gradients = [gradients_lib.from_tape(g) for g in tape.gradient(loss, variables)]
        norm = gradients_lib.global_norm(
            gradients_lib.half_squares([g and g.values for g in gradients])
        )
        gradients = gradients_lib.clip(gradients, norm, hparams.clip_grad_norm)
        optimizer.apply(gradients, variables, tf.constant(1e-5))
        return loss

    times = [median_seconds(lambda f=f: f().numpy()) for f in (forward, train)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    millions = sum(v.shape.num_elements() for v in variables) / 1e6
    cells = [f"{1e3 * s:8.0f}" for s in times] + [f"{peak:7.1f}", f"{millions:9.1f}"]
    sys.stdout.write(f"{hparams_set:<24} {task:<8} {' '.join(cells)}\n")


def main():
    """Measures every set and task in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hparams_sets", default=",".join(SETS))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        measure(*arguments.one)
        return
    sys.stdout.write(f"tasks, as (examples, input, target length): {TASKS}\n")
    head = " forward ms, training ms, peak GiB, million parameters"
    sys.stdout.write(f"{'set':<24} {'task':<8}{head}\n")
    sys.stdout.flush()
    for hparams_set in arguments.hparams_sets.split(","):
        for task in arguments.tasks.split(","):
            command = [sys.executable, __file__, "--one", hparams_set, task]
            subprocess.run(command, stderr=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    main()
