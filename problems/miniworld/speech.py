"""Speech of a kind: every letter is a short sound of its own.

Vowels are voiced and have formants, nasals and liquids hum, fricatives hiss, and
plosives close and then burst. A speaker has a pitch, a vocal tract length, a tempo and
a room with some noise; all are drawn anew for each utterance.
"""

from typing import NamedTuple

import numpy as np

SAMPLE_RATE = 8000  # Hz

_HOP = 80  # samples between frames of the synthesis, 10 ms
_WINDOW = 160  # samples of a frame
_FFT = 320  # samples; room for a filtered frame to ring on both sides
_BLOCKS = _FFT // _HOP

_LETTER_SECONDS = (0.052, 0.068)  # of the fastest and the slowest speaker
_LETTER_JITTER = 0.12  # relative, from letter to letter
_PITCH_HZ = (95.0, 230.0)
_TRACT_SCALE = (0.92, 1.09)  # multiplies all resonances
_SIGNAL_TO_NOISE = (25.0, 150.0)  # ratio of amplitudes
_BOUNDARY_LEVEL = 0.45  # loudness where two letters meet, so that "ll" is two


class _Band(NamedTuple):
    """A resonance: its centre and width in Hz, loudness, and what excites it."""

    centre: float
    width: float
    level: float
    voiced: bool


def _hum(*formants: float, level: float = 1.0) -> tuple[_Band, ...]:
    """Returns voiced resonances that get weaker from the first to the last."""
    return tuple(
        _Band(formant, 70.0 + 0.04 * formant, level * 0.75**index, True)
        for index, formant in enumerate(formants)
    )


def _hiss(centre: float, width: float, level: float = 1.0) -> tuple[_Band, ...]:
    """Returns one band of noise."""
    return (_Band(centre, width, level, False),)


_SILENCE: tuple[_Band, ...] = ()
_BAR = _hum(180.0, level=0.5)  # the voice behind closed lips

# The two halves of each letter.
_SOUNDS = {
    " ": (_SILENCE, _SILENCE),
    "a": (_hum(850, 1350, 2600),) * 2,
    "b": (_BAR, _hiss(550, 250) + _hum(250, 700)),
    "c": (_SILENCE, _hiss(2250, 350, 1.2)),
    "d": (_BAR, _hiss(3000, 400) + _hum(250, 1800)),
    "e": (_hum(550, 1900, 2550),) * 2,
    "f": (_hiss(1700, 1100, 0.3),) * 2,
    "g": (_BAR, _hiss(1500, 250) + _hum(250, 1300)),
    "h": (_hiss(900, 450, 0.4),) * 2,
    "i": (_hum(290, 2300, 3100),) * 2,
    "j": (_BAR, _hum(300, 2300) + _hiss(2700, 500, 0.6)),
    "k": (_SILENCE, _hiss(1600, 250, 1.5)),
    "l": (_hum(360, 1000, 3000),) * 2,
    "m": (_hum(230, 900, level=0.7),) * 2,
    "n": (_hum(240, 1650, level=0.7),) * 2,
    "o": (_hum(520, 880, 2400),) * 2,
    "p": (_SILENCE, _hiss(650, 300, 1.5)),
    "q": (_SILENCE, _hiss(1100, 200, 1.5) + _hum(300, 600)),
    "r": (_hum(470, 1200, 1600),) * 2,
    "s": (_hiss(3500, 350, 0.8),) * 2,
    "t": (_SILENCE, _hiss(3100, 600, 1.4)),
    "u": (_hum(310, 720, 2200),) * 2,
    "v": (_hum(240, 1100, level=0.5) + _hiss(2200, 700, 0.25),) * 2,
    "w": (_hum(290, 560), _hum(380, 900)),
    "x": (_hiss(1700, 250, 1.3), _hiss(3500, 300, 0.7)),
    "y": (_hum(290, 2050, 2500), _hum(400, 1700, 2400)),
    "z": (_hum(220, level=0.6) + _hiss(3300, 350, 0.5),) * 2,
}
_LETTERS = "".join(_SOUNDS)
_HALVES = [half for sound in _SOUNDS.values() for half in sound]
_BANDS = sorted({band for half in _HALVES for band in half})
# [halves, bands]: which bands each half letter has, for either excitation.
_VOICED = np.array(
    [[band.voiced and band in half for band in _BANDS] for half in _HALVES], np.float32
)
_UNVOICED = np.array(
    [[not band.voiced and band in half for band in _BANDS] for half in _HALVES],
    np.float32,
)


def speak(text: str, rng: np.random.Generator) -> np.ndarray:
    """Returns an utterance: float32 `[samples]` at 8000 Hz, between -1 and 1.

    Args:
      text: lower-case letters a to z and spaces.
      rng: decides the speaker and the noise.

    Raises:
      ValueError: if there is no text, or a character that has no sound.
    """
    unknown = sorted(set(text) - set(_LETTERS))
    if unknown or not text:
        raise ValueError(
            f"`text` must be letters from a to z and spaces, got '{text}'."
        )
    halves, loudness = _timeline(text, rng)
    voiced, unvoiced = _envelopes(rng.uniform(*_TRACT_SCALE))
    pulses, noise = _excitations(len(halves), rng)
    spectra = _spectra(pulses) * _smooth(voiced[halves])
    spectra += _spectra(noise) * _smooth(unvoiced[halves])
    waveform = _overlap_added(spectra * loudness[:, None])
    waveform *= rng.uniform(0.3, 0.95) / np.abs(waveform).max()
    level = np.sqrt(np.mean(waveform**2)) / rng.uniform(*_SIGNAL_TO_NOISE)
    waveform += level * rng.standard_normal(len(waveform), np.float32)
    return waveform.clip(-1.0, 1.0).astype(np.float32)


def _timeline(text: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns the half letter and the loudness of each frame, both `[frames]`."""
    jitter = rng.uniform(1 - _LETTER_JITTER, 1 + _LETTER_JITTER, len(text))
    ends = np.cumsum(rng.uniform(*_LETTER_SECONDS) * jitter)
    times = np.arange(int(ends[-1] * SAMPLE_RATE / _HOP)) * _HOP / SAMPLE_RATE
    position = np.interp(times, np.append(0.0, ends), np.arange(len(text) + 1))
    index = position.astype(int)
    letters = np.array([_LETTERS.index(letter) for letter in text])
    inside = position - index  # from 0 at the start of a letter to 1 at its end
    halves = 2 * letters[index] + (inside >= 0.5)
    dip = (1 - _BOUNDARY_LEVEL) * (2 * np.abs(inside - 0.5)) ** 4
    return halves, (1.0 - dip).astype(np.float32)


def _envelopes(tract_scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the gain of every half letter, `[halves, bins]`, voiced and unvoiced."""
    bands = np.array([band[:3] for band in _BANDS], np.float32)
    centre, width, level = bands.T[:, :, None]
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE).astype(np.float32)
    gains = level * np.exp(-0.5 * ((hertz - centre * tract_scale) / width) ** 2)
    return _VOICED @ gains, _UNVOICED @ gains


def _excitations(
    num_frames: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pulses of the voice and the noise of the breath, `[samples]`."""
    num_samples = (num_frames - 1) * _HOP + _WINDOW
    knots = rng.uniform(0.93, 1.07, 6)
    contour = np.interp(np.linspace(0, 5, num_samples), np.arange(6), knots)
    pitch = rng.uniform(*_PITCH_HZ) * contour  # Hz
    phase = np.cumsum(pitch / SAMPLE_RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    # Pulses have the power of white noise whatever the pitch.
    pulses *= np.sqrt(SAMPLE_RATE / pitch)
    return pulses.astype(np.float32), rng.standard_normal(num_samples, np.float32)


def _spectra(samples: np.ndarray) -> np.ndarray:
    """Returns the spectra of overlapping frames: `[frames, bins]` complex."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[::_HOP]
    # Frames lie in the middle of the buffer, because the filters have no delay.
    buffer = np.zeros((len(frames), _FFT), np.float32)
    start = (_FFT - _WINDOW) // 2
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    buffer[:, start : start + _WINDOW] = frames * window.astype(np.float32)
    return np.fft.rfft(buffer)


def _smooth(envelopes: np.ndarray) -> np.ndarray:
    """Blends each frame of `[frames, bins]` with its neighbours in time."""
    padded = np.pad(envelopes, ((1, 1), (0, 0)), mode="edge")
    return 0.5 * padded[1:-1] + 0.25 * (padded[:-2] + padded[2:])


def _overlap_added(spectra: np.ndarray) -> np.ndarray:
    """Returns the waveform `[samples]` of overlapping frames `[frames, bins]`."""
    frames = np.fft.irfft(spectra, _FFT)
    num_frames = len(frames)
    blocks = np.zeros((num_frames + _BLOCKS - 1, _HOP), np.float32)
    for block in range(_BLOCKS):
        span = slice(block * _HOP, (block + 1) * _HOP)
        blocks[block : block + num_frames] += frames[:, span]
    return blocks.reshape(-1)
