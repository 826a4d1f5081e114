import dataclasses

import pytest
import tensorflow as tf

import goldens
import tiny_models
from t2t_mm import registry
from t2t_mm.data import generation
from t2t_mm.data.options import GenerationOptions
from t2t_mm.models.multimodel_hparams import MultiModelHParams
from t2t_mm.runs import run_folder


def pytest_addoption(parser):
    parser.addoption(
        "--goldens-table",
        action="store_true",
        help="print how far every golden array is from ours",
    )


def pytest_terminal_summary(terminalreporter, config):
    if not config.getoption("--goldens-table"):
        return
    terminalreporter.section("largest difference to the goldens")
    terminalreporter.line("arrays  absolute  over rms  share of the allowed  fixture")
    for fixture, errors in goldens.by_fixture().items():
        absolute, relative, share = (
            max(values) for values in zip(*errors, strict=True)
        )
        figures = f"{absolute:.2e}  {relative:.2e}  {share:20.3f}"
        terminalreporter.line(f"{len(errors):6d}  {figures}  {fixture}")


NUM_DEVICES = 4  # parts of the CPU, for tests of several replicas; before any test
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(NUM_DEVICES)],
)


@pytest.fixture(autouse=True)
def _groups_of_devices_of_their_own():
    """Numbers groups of devices anew; TensorFlow's own tests do it like this, too.

    Every strategy calls its first group 1, and a process with groups of two and of four
    devices, which only tests have, would take one for the other.
    """
    tf.distribute.MirroredStrategy._collective_key_base += 100


DIGITS_PROBLEMS = ("copy_digits", "reverse_digits")


@pytest.fixture(scope="session")
def registrations():
    registry.import_registrations()
    registry.import_models()


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory, registrations):
    folder = tmp_path_factory.mktemp("data")
    options = GenerationOptions(max_cases=60)
    for name in DIGITS_PROBLEMS:
        problem = registry.problem(name)
        generation.generate(problem, str(folder), str(folder / "tmp"), options)
    return str(folder)


@pytest.fixture(scope="session")
def small_hparams():
    """A MultiModel of a few thousand weights, with all its randomness switched on."""
    return dataclasses.replace(
        MultiModelHParams(),
        batch_size=128,
        max_buckets=2,
        hidden_size=16,
        dropout=0.2,
        kernel_sizes=(3, 3, 5, 5),
        dilation_rates=(1, 1, 1, 2),
        num_encoder_blocks=1,
        encoder_moe_after=1,
        num_mixer_blocks=0,
        num_decoder_blocks=1,
        decoder_moe_after=1,
        num_heads=2,
        moe_num_experts=4,
        moe_k=2,
        moe_filter_size=8,
        learning_rate_schedule="constant*linear_warmup",
        learning_rate_constant=3e-3,
        learning_rate_warmup_steps=3,
    )


@pytest.fixture(scope="session")
def smallest_hparams(registrations):
    """A Transformer of one layer, which is traced in no time."""
    return dataclasses.replace(
        registry.HPARAMS.get("transformer_tiny")(),
        batch_size=128,
        max_buckets=2,
        hidden_size=8,
        filter_size=12,
        num_heads=2,
        num_hidden_layers=1,
    )


@pytest.fixture(scope="session")
def untrained_run_dir(digits_dir, tmp_path_factory):
    """A run for text, pictures and sound whose weights are random numbers."""
    folder = str(tmp_path_factory.mktemp("untrained"))
    hparams = tiny_models.make_hparams(
        "transformer_tiny", num_hidden_layers=1, batch_size=128, max_buckets=1
    )
    names = ("copy_digits", "mini_speech", "mnist")
    description = run_folder.describe(
        model="transformer",
        hparams_set="transformer_tiny",
        hparams=hparams,
        problems={name: registry.problem(name) for name in names},
        data_dir=digits_dir,
    )
    run_folder.write(description, folder, digits_dir)
    model_cls = registry.MODELS.get("transformer")
    model = model_cls(hparams, description.problems, seed=1, name="transformer")
    tiny_models.perturb(model)
    checkpoint = tf.train.Checkpoint(model=model)
    tf.train.CheckpointManager(
        checkpoint, folder, max_to_keep=1, checkpoint_name="ckpt"
    ).save(checkpoint_number=7)
    return folder
