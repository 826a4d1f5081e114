"""Cases of `benchmarks/training_step.py`: a model, a task and what others need for it.

A reference is the median of a training step of Tensor2Tensor's own code for TensorFlow
1.15, at the same sizes, on two cores of the same kind of machine, in float32, or that
of PyTorch with a Transformer of the same sizes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from t2t_mm.features import FeatureSpec

TEXT = FeatureSpec(modality="symbol", vocab_size=8192, vocabulary="tokens")
IMAGE_32 = FeatureSpec(modality="image", shape=(32, 32, 3), dtype="uint8")
IMAGE_224 = FeatureSpec(modality="image", shape=(224, 224, 3), dtype="uint8")
SPECTROGRAM = FeatureSpec(
    modality="audio_spectral", shape=(None, 80, 1), dtype="float32"
)
WAVEFORM = FeatureSpec(modality="audio", shape=(None, 1, 1), dtype="float32")
CLASSES = FeatureSpec(
    modality="class_label", vocab_size=1000, vocabulary="things", shape=(1,)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a batch holds.

    Attributes:
      inputs: spec of the inputs.
      targets: spec of the targets.
      examples: rows of a batch.
      input_length: positions, frames or samples; images know theirs.
      target_length: ids.
    """

    inputs: FeatureSpec
    targets: FeatureSpec
    examples: int
    input_length: int = 0
    target_length: int = 1

    def shape(self, role: str) -> list[int]:
        """Returns the shape of a feature of a batch."""
        spec = getattr(self, role)
        length = self.input_length if role == "inputs" else self.target_length
        return [self.examples, spec.shape[0] or length, *spec.shape[1:]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """What one line of the table measures.

    Attributes:
      model: registered name.
      hparams_set: registered name.
      overrides: of the set, by field.
      task: of the batch.
      reference_seconds: of a step of the code that it is compared with; 0 if there is
        none.
      reference_parameters: of the same code, in millions; 0 if it is not known.
      goal: how many times as fast as the reference a step should be.
    """

    model: str
    hparams_set: str
    overrides: Mapping[str, Any]
    task: Task
    reference_seconds: float = 0.0
    reference_parameters: float = 0.0
    goal: float = 1.0


_WORDS = Task(inputs=TEXT, targets=TEXT, examples=16, input_length=32, target_length=32)
_LARGE_WORDS = dataclasses.replace(
    _WORDS,
    inputs=dataclasses.replace(TEXT, vocab_size=32768),
    targets=dataclasses.replace(TEXT, vocab_size=32768),
)
_SMALL_IMAGES = Task(inputs=IMAGE_32, targets=CLASSES, examples=16)
_IMAGES = Task(inputs=IMAGE_224, targets=CLASSES, examples=4)
_CAPTIONS = Task(inputs=IMAGE_224, targets=TEXT, examples=4, target_length=32)
_SPEECH = Task(
    inputs=SPECTROGRAM, targets=TEXT, examples=4, input_length=1024, target_length=32
)
_SAMPLES = dataclasses.replace(_SPEECH, inputs=WAVEFORM, input_length=16384)

# Tensor2Tensor's `multimodel_tiny` as it ran: 30 experts, and wide ones in the decoder.
_T2T_TINY = {
    "hidden_size": 128,
    "filter_size": 512,
    "num_hidden_layers": 2,
    "moe_layers": (1,),
    "image_filters": (128, 128),
    "class_label_filters": (160, 256, 320),
}
_T2T_SMALL = {
    "hidden_size": 256,
    "filter_size": 1024,
    "moe_filter_size": 1024,
    "moe_num_experts": 8,
}
_T2T_TINY_PIXELS = {**_T2T_TINY, "image_net": "small", "image_stem_stride": 1}
_1P8 = {
    "hidden_size": 192,
    "moe_num_experts": 30,
    "moe_filter_size": 192,
    "image_filters": (128, 192),
    "class_label_filters": (240, 384, 480),
}


def _t2t(overrides: Mapping[str, Any], task: Task, **reference: float) -> Case:
    return Case(
        model="multimodel_t2t",
        hparams_set="multimodel_t2t",
        overrides=overrides,
        task=task,
        **reference,
    )


def _1p8(task: Task, **reference: float) -> Case:
    return Case(
        model="multimodel",
        hparams_set="multimodel_1p8",
        overrides=_1P8,
        task=task,
        **reference,
    )


def _transformer(hparams_set: str, task: Task, reference_seconds: float) -> Case:
    return Case(
        model="transformer",
        hparams_set=hparams_set,
        overrides={},
        task=task,
        reference_seconds=reference_seconds,
    )


CASES = {
    "t2t_tiny_text": _t2t(
        _T2T_TINY, _WORDS, reference_seconds=0.277, reference_parameters=28.0, goal=3
    ),
    "t2t_small_text": _t2t(
        _T2T_SMALL, _WORDS, reference_seconds=1.00, reference_parameters=37.6, goal=3
    ),
    "t2t_base_text": _t2t(
        {}, _WORDS, reference_seconds=3.36, reference_parameters=368, goal=3
    ),
    "t2t_images_32": _t2t(
        _T2T_TINY_PIXELS, _SMALL_IMAGES, reference_seconds=2.58, goal=4
    ),
    "t2t_images_224": _t2t(_T2T_TINY, _IMAGES, reference_seconds=0.863, goal=4),
    "t2t_spectrogram": _t2t(_T2T_TINY, _SPEECH, reference_seconds=0.692, goal=4),
    "t2t_waveform": _t2t(_T2T_TINY, _SAMPLES, reference_seconds=0.333, goal=4),
    "1p8_text": _1p8(
        _WORDS, reference_seconds=0.425, reference_parameters=10.2, goal=3
    ),
    "1p8_images_224": _1p8(
        _IMAGES, reference_seconds=0.915, reference_parameters=4.7, goal=4
    ),
    "1p8_captions": _1p8(_CAPTIONS, reference_seconds=0.946, goal=4),
    "1p8_spectrogram": _1p8(_SPEECH, reference_seconds=0.992, goal=4),
    "transformer_tiny": _transformer("transformer_tiny", _WORDS, 0.115),
    "transformer_base": _transformer("transformer_base", _LARGE_WORDS, 1.63),
}
