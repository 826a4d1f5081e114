import string

import numpy as np
import pytest

from t2t_mm.problems.miniworld import speech

NUM_FRAMES = 3


def log_mel(waveform):
    """Returns `[frames, 40]`: 25 ms windows, one every 20 ms."""
    padded = np.pad(waveform, (0, 200))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 200)[::160]
    power = np.abs(np.fft.rfft(frames * np.hanning(200), 256)) ** 2
    mels = 1127 * np.log1p(np.fft.rfftfreq(256, 1 / 8000) / 700)
    edges = np.linspace(mels[1], mels[-1], 42)
    rising = (mels[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mels[:, None]) / (edges[2:] - edges[1:-1])
    return np.log(power @ np.minimum(rising, falling).clip(0) + 1e-4)


def fingerprint(letter, rng):
    frames = log_mel(speech.speak(letter, rng))[:NUM_FRAMES]
    missing = NUM_FRAMES - len(frames)
    frames = np.pad(frames, ((0, missing), (0, 0)), mode="edge")
    return ((frames - frames.mean()) / frames.std()).ravel()


def test_utterances_are_float32_between_minus_one_and_one():
    for seed in range(5):
        waveform = speech.speak("a small red ball", np.random.default_rng(seed))
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert 0.2 < np.abs(waveform).max() <= 1.0


def test_the_same_seed_gives_the_same_utterance():
    first = speech.speak("two stars", np.random.default_rng(3))
    second = speech.speak("two stars", np.random.default_rng(3))

    np.testing.assert_array_equal(first, second)


def test_another_seed_is_another_speaker():
    first = speech.speak("two stars", np.random.default_rng(3))
    second = speech.speak("two stars", np.random.default_rng(4))

    assert len(first) != len(second)


def test_a_letter_lasts_fifty_to_seventy_milliseconds():
    text = "there is a big striped yellow triangle"
    for seed in range(10):
        waveform = speech.speak(text, np.random.default_rng(seed))
        seconds = len(waveform) / speech.SAMPLE_RATE
        assert 0.048 < seconds / len(text) < 0.074


def test_spaces_are_quiet():
    waveform = speech.speak("aaaa    aaaa", np.random.default_rng(0))
    third = len(waveform) // 12
    word, pause = waveform[third : 3 * third], waveform[5 * third : 7 * third]

    assert np.std(pause) < 0.1 * np.std(word)


def test_letters_can_be_told_apart_whoever_speaks():
    rng = np.random.default_rng(0)
    letters = string.ascii_lowercase
    centroids = np.stack(
        [
            np.mean([fingerprint(letter, rng) for _ in range(30)], axis=0)
            for letter in letters
        ]
    )

    right = [
        letters[((centroids - fingerprint(letter, rng)) ** 2).sum(1).argmin()] == letter
        for letter in letters
        for _ in range(10)
    ]

    assert np.mean(right) > 0.95


@pytest.mark.parametrize("text", ["A", "über", "a.", ""])
def test_text_without_a_sound_is_an_error(text):
    with pytest.raises(ValueError, match="letters from a to z"):
        speech.speak(text, np.random.default_rng(0))
