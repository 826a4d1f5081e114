"""Problems whose inputs are sound."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from etils import epy

from t2t_mm import problem
from t2t_mm.data import audio, sound_file, text_problem
from t2t_mm.features import FeatureSpec, SpaceId

with epy.lazy_imports():
    import tensorflow as tf

_PCM_SCALE = 32767  # largest int16
_BYTES_PER_SAMPLE = 2


class AudioProblem(problem.Problem):
    """A problem whose inputs are waveforms.

    A record holds 16-bit little-endian PCM; a batch log-mel spectrograms
    `[batch, frames, num_mel_bins, 1 + num_deltas]`.

    Attributes:
      sample_rate: in Hz.
      num_mel_bins: frequencies per frame.
      frame_length_ms: length of a frame in milliseconds.
      frame_step_ms: time between frames in milliseconds.
      num_deltas: how many derivatives with respect to time follow each number: 0, 1 or
        2; they are further channels.
      max_seconds: longest sound; a longer one is a bad sample.
    """

    sample_rate: ClassVar[int] = 16000
    num_mel_bins: ClassVar[int] = 40
    frame_length_ms: ClassVar[int] = 25
    frame_step_ms: ClassVar[int] = 20
    num_deltas: ClassVar[int] = 0
    max_seconds: ClassVar[float] = 60.0
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

    def waveform(self, value: Any) -> np.ndarray:
        """Returns a raw input as float32 `[samples]` at `sample_rate`.

        Args:
          value: floats between -1 and 1 of shape `[samples]`, at `sample_rate`; or the
            path of a sound file, or its content. Channels of a file are averaged.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it is something else, damaged, shorter than a frame or longer
            than `max_seconds`.
        """
        if isinstance(value, os.PathLike):
            value = pathlib.Path(value)
        if isinstance(value, pathlib.Path | bytes):
            sound = sound_file.read(value, max_seconds=self.max_seconds)
            value = sound_file.resample(*sound, self.sample_rate)
        waveform = np.asarray(value)
        if waveform.ndim != 1 or waveform.dtype.kind != "f":
            raise ValueError(
                f"A sound of {self.name} must be a path, the bytes of a sound file, or "
                f"floats of shape [samples]; got {waveform.dtype} of shape "
                f"{list(waveform.shape)}."
            )
        seconds = len(waveform) / self.sample_rate
        sound_file.check_seconds(seconds, self.max_seconds)
        if len(waveform) < self.frames.length:
            raise ValueError(
                f"A sound must last at least one frame, {self.frame_length_ms} ms; "
                "this one is shorter."
            )
        if not np.isfinite(waveform).all():
            raise ValueError(
                "A sound must be of finite numbers; this one has infinite ones or NaN."
            )
        return waveform.astype(np.float32)

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns a raw input as 16-bit PCM; `waveform` says what it may be."""
        scaled = np.rint(np.clip(self.waveform(value), -1.0, 1.0) * _PCM_SCALE)
        return [scaled.astype("<i2").tobytes()]

    def inputs_length(self, inputs: Sequence[bytes]) -> int:
        """Returns the number of frames of a record's PCM."""
        return self.frames.count(len(inputs[0]) // _BYTES_PER_SAMPLE)

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns the spec of a log-mel spectrogram."""
        return FeatureSpec(
            modality="audio_spectral",
            space_id=SpaceId.AUDIO_SPECTRAL,
            shape=(None, self.num_mel_bins, 1 + self.num_deltas),
            dtype="float32",
        )

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records and their lengths."""
        return {
            **super().generation_settings(),
            "sample_rate": self.sample_rate,
            "frame_step_ms": self.frame_step_ms,
            "max_seconds": self.max_seconds,
        }

    def preprocess(
        self, features: dict[str, Any], padded_lengths: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Maps PCM to log-mel `[batch, frames, num_mel_bins, 1 + num_deltas]`."""
        features = super().preprocess(features, padded_lengths)
        num_samples = padded_lengths["inputs"] * self.frames.step
        # Pads each row with zeros; a row never has more samples than its frames.
        samples = tf.io.decode_raw(
            features["inputs"],
            tf.int16,
            fixed_length=num_samples * _BYTES_PER_SAMPLE,
        )
        waveforms = tf.cast(samples, tf.float32) / _PCM_SCALE
        num_frames = features["inputs_length"]
        spectrograms = audio.log_mel(waveforms, num_frames, self.frames)
        inputs = audio.with_deltas(spectrograms, num_frames, self.num_deltas)
        return {**features, "inputs": inputs}

    def read_input(self, line: str) -> np.ndarray:
        """Reads the sound file that `line` names.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it is no sound file, or too short or too long.
        """
        path = pathlib.Path(line.strip())
        try:
            return self.waveform(path)
        except ValueError as error:
            raise ValueError(f"'{path}' cannot be heard. {error}") from None


class Audio2TextProblem(text_problem.TextTargets, AudioProblem):
    """Speech to text: samples are {"inputs": waveform, "targets": str}."""

    scores: ClassVar[tuple[str, ...]] = ("cer", "wer")


class SpeechRecognitionProblem(Audio2TextProblem):
    """Speech to text with the features of Tensor2Tensor's speech recognition.

    80 frequencies every 10 ms, and how fast and faster they change: 12 times the
    numbers of an `Audio2TextProblem`, for corpora of many hours.
    """

    num_mel_bins: ClassVar[int] = 80
    frame_step_ms: ClassVar[int] = 10
    num_deltas: ClassVar[int] = 2
