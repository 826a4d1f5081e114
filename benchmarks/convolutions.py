"""What the forms of a depthwise convolution cost, on sequences and on images.

    python -m benchmarks.convolutions [--cases=1d_k3,2d_entry] [--modes=graph,xla] \
        [--rounds=9] [--json=convolutions.json]

All forms of a case run in turns in one process, so that other work on the machine hits
them alike: forward alone, and forward with the gradients of input and kernel. Prints
median milliseconds of both, and the least that memory allows for the second: input,
gradient and results pass once each. `--list` prints the cases. Every form must compute
what "layer" does, the one that the layers choose.
"""

import argparse
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from t2t_mm.layers import compilation, conv, image_conv

BYTES_PER_SECOND = 24e9  # of memory, two cores of the machine of docs/performance.md
Form = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A convolution.

    Attributes:
      shape: of the input, `[batch, length, channels]` or
        `[batch, height, width, channels]`.
      kernel_size: taps along the length, or along height and width alike.
      dilation_rate: positions from tap to tap, of a sequence.
      causal: whether a sequence is padded in front only.
    """

    shape: tuple[int, ...]
    kernel_size: int
    dilation_rate: int = 1
    causal: bool = False

    @property
    def is_sequence(self) -> bool:
        """Whether the input is a sequence, no image."""
        return len(self.shape) == 3

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """The shape of the kernel as the layers have it."""
        size, channels = self.kernel_size, self.shape[-1]
        return (size, channels) if self.is_sequence else (size, size, channels, 1)

    @property
    def floor_seconds(self) -> float:
        """The time for input and output of the forward and the backward pass."""
        return 6 * 4 * float(np.prod(self.shape)) / BYTES_PER_SECOND


def _sequence(shape: tuple[int, ...], *settings: int, causal: bool = False) -> Case:
    kernel_size, dilation_rate = settings
    return Case(
        shape=shape,
        kernel_size=kernel_size,
        dilation_rate=dilation_rate,
        causal=causal,
    )


def _image(*shape: int) -> Case:
    return Case(shape=shape, kernel_size=3)


CASES = {
    # Of the specification.
    "1d_k3": _sequence((16, 32, 512), 3, 1),
    "1d_k3_d8": _sequence((16, 32, 512), 3, 8),
    "1d_k15": _sequence((16, 32, 512), 15, 1),
    "1d_k15_d8": _sequence((16, 32, 512), 15, 8),
    "1d_k15_d8_causal": _sequence((16, 32, 512), 15, 8, causal=True),
    "2d_128": _image(16, 28, 28, 128),
    # Of the body: small pictures as sequences, text of `multimodel_tiny`.
    "1d_pixels_k3": _sequence((16, 1024, 512), 3, 1),
    "1d_pixels_k15": _sequence((16, 1024, 512), 15, 1),
    "1d_pixels_k15_d4": _sequence((16, 1024, 128), 15, 4),
    "1d_tiny_k15_d8": _sequence((16, 32, 128), 15, 8),
    # Of the entry and exit flows, pictures of 224x224.
    "2d_entry_0": _image(4, 112, 112, 64),
    "2d_entry_1": _image(4, 112, 112, 128),
    "2d_entry_2": _image(4, 56, 56, 128),
    "2d_exit": _image(4, 14, 14, 256),
    # Of the net for spectrograms.
    "2d_sound_1": _image(4, 1024, 80, 1),
    "2d_sound_2": _image(4, 1024, 80, 2),
    "2d_sound_4": _image(4, 512, 80, 4),
    "2d_sound_8": _image(4, 256, 80, 8),
    "2d_sound_16": _image(4, 128, 80, 16),
    "2d_sound_64": _image(4, 32, 80, 64),
}


def forms(case: Case) -> dict[str, Form]:
    """Returns functions of input and kernel; "layer" is what the layers choose."""
    return _sequence_forms(case) if case.is_sequence else _image_forms()


def _sequence_forms(case: Case) -> dict[str, Form]:
    span = (case.kernel_size - 1) * case.dilation_rate
    front = span if case.causal else span // 2
    padding = [[0, 0], [front, span - front], [0, 0], [0, 0]]
    dilations = [case.dilation_rate, 1]

    def padded(x: tf.Tensor) -> tf.Tensor:
        # [batch, length, channels] -> [batch, length, 1, channels]
        return tf.pad(x[:, :, None], padding)

    def depthwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        kernel = kernel[:, None, :, None]
        return tf.nn.depthwise_conv2d(
            padded(x), kernel, [1, 1, 1, 1], "VALID", dilations=dilations
        )[:, :, 0]

    def grouped(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        kernel = kernel[:, None, None]
        return tf.nn.conv2d(padded(x), kernel, 1, "VALID", dilations=dilations)[:, :, 0]

    def shifts(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        wide = tf.pad(x, [[0, 0], [front, span - front], [0, 0]])
        return conv.depthwise_by_shifts(wide, kernel, case.dilation_rate)

    def folded(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return conv.depthwise_by_folding(
            x, kernel, dilation_rate=case.dilation_rate, causal=case.causal
        )

    def layer(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return conv.depthwise_conv_sequence(
            x, kernel, dilation_rate=case.dilation_rate, causal=case.causal
        )

    return {
        "layer": layer,
        "depthwise": depthwise,
        "grouped": grouped,
        "folded": folded,
        "shifts": shifts,
    }


def _image_forms() -> dict[str, Form]:
    def depthwise(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME")

    def grouped(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        # [height, width, channels, 1] -> [height, width, 1, channels]
        return tf.nn.conv2d(x, tf.transpose(kernel, [0, 1, 3, 2]), 1, "SAME")

    def shifts(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        span = kernel.shape[0] - 1
        front_and_back = [span // 2, span - span // 2]
        wide = tf.pad(x, [[0, 0], front_and_back, front_and_back, [0, 0]])
        return image_conv.depthwise_by_shifts(wide, kernel)

    def layer(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return image_conv.depthwise_conv_image(x, kernel, (1, 1))

    return {
        "layer": layer,
        "depthwise": depthwise,
        "grouped": grouped,
        "shifts": shifts,
    }


def compiled(form: Form, *, backward: bool, xla: bool) -> Callable[..., Any]:
    """Returns a form as a program, with its gradients if `backward`."""

    def run(x: tf.Tensor, kernel: tf.Tensor, dy: tf.Tensor) -> list[tf.Tensor]:
        with compilation.tracing_for_xla(xla):
            if not backward:
                return [form(x, kernel)]
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = form(x, kernel)
            return [y, *tape.gradient(y, [x, kernel], dy)]

    return tf.function(run, jit_compile=xla or None, autograph=False)


def measure(case: Case, *, xla: bool, rounds: int) -> dict[str, list[float]]:
    """Returns the median seconds of each form, forward and with gradients."""
    random = np.random.default_rng(0)
    arguments = [
        tf.constant(random.normal(size=shape).astype(np.float32))
        for shape in (case.shape, case.kernel_shape, case.shape)
    ]
    programs = {}
    expected: list[np.ndarray] = []
    for name, form in forms(case).items():
        for backward in (False, True):
            program = compiled(form, backward=backward, xla=xla)
            try:
                outputs = [output.numpy() for output in program(*arguments)]
            except tf.errors.OpError:
                continue  # TensorFlow has no kernel for it
            programs[name, backward] = program
            if backward:
                expected = expected or outputs
                _check(name, outputs, expected)
    seconds: dict[tuple[str, bool], list[float]] = {key: [] for key in programs}
    for _ in range(rounds):
        for key, program in programs.items():
            start = time.perf_counter()
            program(*arguments)  # returns when it is done
            seconds[key].append(time.perf_counter() - start)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    names = dict.fromkeys(name for name, _ in medians)
    return {
        name: [
            medians.get((name, backward), float("nan")) for backward in (False, True)
        ]
        for name in names
    }


def _check(
    name: str, outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> None:
    for output, other in zip(outputs, expected, strict=True):
        largest = np.abs(other).max()
        if np.abs(output - other).max() > 1e-4 * largest:
            raise ValueError(
                f"The form '{name}' computes something else than the layer."
            )


def main() -> None:
    """Measures the cases and prints a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--modes", default="graph,xla")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", default="")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(f"{name:<18} {case}" for name, case in CASES.items()))
        return
    results = []
    for name in arguments.cases.split(","):
        case = CASES[name]
        for mode in arguments.modes.split(","):
            medians = measure(case, xla=mode == "xla", rounds=arguments.rounds)
            results.append({"case": name, "mode": mode, "seconds": medians})
            print(_row(name, case, mode, medians), flush=True)
    text = json.dumps(results)
    if arguments.json:
        with open(os.path.expanduser(arguments.json), "w", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text)


def _row(name: str, case: Case, mode: str, medians: dict[str, list[float]]) -> str:
    cells = "  ".join(
        f"{form} {1e3 * forward:.2f} {1e3 * both:.2f}"
        for form, (forward, both) in medians.items()
    )
    return f"{name:<18} {mode:<6} floor {1e3 * case.floor_seconds:.2f}  {cells}"


if __name__ == "__main__":
    main()
