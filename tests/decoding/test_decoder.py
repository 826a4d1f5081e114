import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm import checkpoint_choice, registry
from t2t_mm.bin import t2t_decoder
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import Split
from t2t_mm.training import experiment
from t2t_mm.training.run_config import RunConfig

CONFIG = DecodeConfig(extra_length=6)


@pytest.fixture(scope="module")
def run_dir(small_hparams, digits_dir, tmp_path_factory):
    """A run of two steps: its outputs are wrong, but they depend on the inputs."""
    folder = tmp_path_factory.mktemp("run")
    config = RunConfig(
        train_steps=2, eval_steps=1, eval_every_steps=0, save_every_steps=2
    )
    experiment.build(
        model_name="multimodel",
        hparams_set="multimodel_tiny",
        hparams=dataclasses.replace(small_hparams, learning_rate_constant=0.1),
        problem_names=["copy_digits"],
        config=config,
        data_dir=digits_dir,
        output_dir=str(folder),
    ).train_and_evaluate()
    return str(folder)


@pytest.fixture(scope="module")
def decoder(run_dir):
    return decoder_lib.Decoder.from_output_dir(run_dir, "copy_digits", config=CONFIG)


def test_outputs_stand_in_the_order_of_the_inputs(decoder):
    inputs = ["1", "123456789012", "", "44", "98765432109876543210", "7" * 40, "44"]

    outputs = decoder.decode(inputs)

    assert len(outputs) == len(inputs)
    assert outputs[3] == outputs[6]
    alone = [decoder.decode([text])[0] for text in inputs]
    assert outputs == alone  # neighbours and padding change nothing


def test_a_split_is_decoded_whole_and_once(decoder, digits_dir):
    decoded = list(decoder.decode_split(Split.EVAL, digits_dir))

    references = collections.Counter(example.reference for example in decoded)
    assert len(decoded) == 60
    assert all(len(reference) >= 1 for reference in references)
    encoder = registry.problem("copy_digits").text_encoder(digits_dir)
    for example in decoded:  # copy_digits: inputs are the reference
        assert encoder.decode(example.inputs.tolist()) == example.reference


def test_a_folder_without_a_run_says_so(tmp_path, registrations):
    with pytest.raises(FileNotFoundError, match="must be the folder of a training run"):
        decoder_lib.load_model(str(tmp_path))


def test_a_checkpoint_that_does_not_exist_is_named(run_dir):
    with pytest.raises(FileNotFoundError, match="no checkpoint '.*ckpt-77'"):
        decoder_lib.load_model(run_dir, f"{run_dir}/ckpt-77")


def test_a_problem_that_the_run_does_not_know_is_refused(run_dir):
    with pytest.raises(LookupError, match="not trained on reverse_digits. It knows"):
        decoder_lib.Decoder.from_output_dir(run_dir, "reverse_digits", config=CONFIG)


def test_restoring_gives_the_variables_of_the_checkpoint(run_dir):
    model = decoder_lib.load_model(run_dir)

    reader = tf.train.load_checkpoint(checkpoint_choice.newest(run_dir))
    stored = reader.get_tensor("model/commands/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(model.commands.numpy(), stored)


def decode_file(run_dir, tmp_path, content):
    source, target = tmp_path / "in.txt", tmp_path / "out.txt"
    source.write_bytes(content)
    t2t_decoder.main(
        [
            "t2t-decoder",
            "--problem=copy_digits",
            f"--output_dir={run_dir}",
            f"--decode_from_file={source}",
            f"--decode_to_file={target}",
            "--decode_hparams=extra_length=3",
        ]
    )
    return target.read_bytes()


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", 0),
        (b"12\n", 1),
        (b"12", 1),
        (b"\n\n", 2),
        (b"12\n\n34\n", 3),
        ("1\u20282\n3\n".encode(), 2),  # a line separator ends no line
    ],
)
def test_outputs_align_with_the_lines_of_the_file(run_dir, tmp_path, content, lines):
    outputs = decode_file(run_dir, tmp_path, content)

    assert outputs.count(b"\n") == lines
    for source, output in zip(content.split(b"\n"), outputs.split(b"\n"), strict=False):
        assert source.strip() or not output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "One of --decode_from_file, --decode_interactive and --split"),
        (["--split=dev"], "--data_dir must be given"),
        (["--decode_interactive", "--max_batches=2"], "no effect without --split"),
        (["--decode_interactive", "--decode_to_file=x"], "--decode_to_file has no"),
        (
            ["--decode_interactive", "--decode_hparams=extra_lenght=2"],
            "Did you mean extra_length",
        ),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(run_dir, flags, message):
    with pytest.raises(ValueError, match=message):
        t2t_decoder.main(
            ["t2t-decoder", "--problem=copy_digits", f"--output_dir={run_dir}", *flags]
        )
