"""Problems whose inputs are sound."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from etils import epy

from t2t_mm import problem
from t2t_mm.data import audio, text_problem
from t2t_mm.features import FeatureSpec, SpaceId

with epy.lazy_imports():
    import soundfile
    import tensorflow as tf

_PCM_SCALE = 32767  # largest int16
_BYTES_PER_SAMPLE = 2


class AudioProblem(problem.Problem):
    """A problem whose inputs are waveforms.

    A record holds 16-bit little-endian PCM; a batch log-mel spectrograms
    `[batch, frames, num_mel_bins, 1]`.

    Attributes:
      sample_rate: in Hz.
      num_mel_bins: frequencies per frame.
      frame_length_ms: length of a frame in milliseconds.
      frame_step_ms: time between frames in milliseconds.
    """

    sample_rate: ClassVar[int] = 16000
    num_mel_bins: ClassVar[int] = 40
    frame_length_ms: ClassVar[int] = 25
    frame_step_ms: ClassVar[int] = 20
    record_types: ClassVar[Mapping[str, str]] = {"inputs": "string", "targets": "int64"}

    @property
    def frames(self) -> audio.Frames:
        """How a waveform is cut into frames."""
        return audio.Frames(
            sample_rate=self.sample_rate,
            length=self.sample_rate * self.frame_length_ms // 1000,
            step=self.sample_rate * self.frame_step_ms // 1000,
            num_mel_bins=self.num_mel_bins,
        )

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns a float32 `[samples]` waveform as 16-bit PCM.

        Raises:
          ValueError: if it is empty, not of rank 1, or not of floats.
        """
        waveform = np.asarray(value)
        if waveform.ndim != 1 or not waveform.size or waveform.dtype.kind != "f":
            raise ValueError(
                f"A waveform of {self.name} must be float32 of shape [samples]; got "
                f"{waveform.dtype} of shape {list(waveform.shape)}."
            )
        scaled = np.rint(np.clip(waveform, -1.0, 1.0) * _PCM_SCALE)
        return [scaled.astype("<i2").tobytes()]

    def inputs_length(self, inputs: Sequence[bytes]) -> int:
        """Returns the number of frames of a record's PCM."""
        return self.frames.count(len(inputs[0]) // _BYTES_PER_SAMPLE)

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns the spec of a log-mel spectrogram."""
        return FeatureSpec(
            modality="audio_spectral",
            space_id=SpaceId.AUDIO_SPECTRAL,
            shape=(None, self.num_mel_bins, 1),
            dtype="float32",
        )

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records and their lengths."""
        return {
            **super().generation_settings(),
            "sample_rate": self.sample_rate,
            "frame_step_ms": self.frame_step_ms,
        }

    def preprocess(
        self, features: dict[str, Any], padded_lengths: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Maps PCM to log-mel `[batch, frames, num_mel_bins, 1]`."""
        features = super().preprocess(features, padded_lengths)
        num_samples = padded_lengths["inputs"] * self.frames.step
        # Pads each row with zeros; a row never has more samples than its frames.
        samples = tf.io.decode_raw(
            features["inputs"],
            tf.int16,
            fixed_length=num_samples * _BYTES_PER_SAMPLE,
        )
        waveforms = tf.cast(samples, tf.float32) / _PCM_SCALE
        spectrograms = audio.log_mel(waveforms, features["inputs_length"], self.frames)
        return {**features, "inputs": spectrograms[..., tf.newaxis]}

    def read_input(self, line: str) -> np.ndarray:
        """Reads the sound file that `line` names; channels are averaged.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it has another sample rate.
        """
        path = line.strip()
        with open(path, "rb") as file:
            waveform, rate = soundfile.read(file, dtype="float32", always_2d=True)
        if rate != self.sample_rate:
            raise ValueError(
                f"A sound of {self.name} must have {self.sample_rate} samples per "
                f"second; '{path}' has {rate}. Convert it, for example with: sox "
                f"'{path}' -r {self.sample_rate} converted.wav"
            )
        return waveform.mean(axis=1)


class Audio2TextProblem(text_problem.TextTargets, AudioProblem):
    """Speech to text: samples are {"inputs": waveform, "targets": str}."""

    scores: ClassVar[tuple[str, ...]] = ("cer", "wer")
