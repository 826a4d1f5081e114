"""English speech made from Debian packages: recorded prompts and spoken sentences.

The prompts are a real voice but only 17 minutes, so most of the training is sentences
of a dictionary, spoken by a synthesiser. One of its voices is kept for the test split.
"""

import os
from collections.abc import Iterator
from typing import Any, ClassVar

from t2t_mm import registry
from t2t_mm.data import audio_problem, splits, text_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import asterisk_prompts, debian, ding, flite

# The sentences with the commonest words are spoken, once each.
NUM_SENTENCES = {Split.TRAIN: 2400, Split.EVAL: 200, Split.TEST: 200}
VOICES = {
    Split.TRAIN: ("rms", "awb", "kal16"),
    Split.EVAL: ("rms", "awb", "kal16"),
    Split.TEST: ("slt",),  # never heard in training
}

PROMPT_TEXTS = "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
PROMPT_SOUNDS = "usr/share/asterisk/sounds/en_US_f_Allison"
DICTIONARY = "usr/share/trans/de-en"


@registry.register_problem("mini_speech")
class MiniSpeech(debian.PackageProblem, audio_problem.Audio2TextProblem):
    """Speech to the letters of what is said."""

    vocab_type = text_problem.VocabType.BYTE
    target_space = SpaceId.EN_CHR
    max_seconds: ClassVar[float] = asterisk_prompts.MAX_SECONDS
    corpus = debian.packages_corpus(
        "asterisk-core-sounds-en", "asterisk-core-sounds-en-wav", "trans-de-en"
    )
    package_folder: ClassVar[str] = PROMPT_SOUNDS
    package_files: ClassVar[tuple[str, ...]] = (
        "activated.wav",
        *(os.path.relpath(path, PROMPT_SOUNDS) for path in (PROMPT_TEXTS, DICTIONARY)),
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any]]:
        """Yields the prompts of one split, then its sentences, not yet spoken."""
        flite.check_installed()
        split = Split(dataset_split)
        sounds = self.require_corpus_path()
        root = os.path.join(sounds, os.path.relpath(".", PROMPT_SOUNDS))
        prompts = list(
            asterisk_prompts.read_prompts(os.path.join(root, PROMPT_TEXTS), sounds)
        )
        for prompt in prompts:
            if split_of_prompt(prompt.text) == split:
                name = prompt.path.name
                yield {"inputs": prompt.path, "targets": prompt.text, "name": name}
        known = {prompt.text for prompt in prompts}
        sentences = ding.plain_sentences(os.path.join(root, DICTIONARY))
        new = [text for text in sentences if ding.spoken(text) not in known]
        for text in sentences_of(new, split):
            voice = VOICES[split][splits.hash_number(text) % len(VOICES[split])]
            utterance = flite.Utterance(text, voice)
            yield {"inputs": utterance, "targets": ding.spoken(text), "name": text}

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns PCM; an `Utterance` is spoken first."""
        if isinstance(value, flite.Utterance):
            value = flite.speak(value)
        return super().encode_inputs(value, data_dir)


def split_of_prompt(text: str) -> Split:
    """Returns the split of a prompt: the same for all prompts with the same words."""
    return {0: Split.TEST, 1: Split.EVAL}.get(
        splits.hash_number(text) % 10, Split.TRAIN
    )


def sentences_of(sentences: list[str], split: Split) -> list[str]:
    """Returns the sentences of one split, out of the first ones, in a mixed order."""
    chosen = sorted(sentences[: sum(NUM_SENTENCES.values())], key=splits.hash_number)
    start = 0
    for other, count in NUM_SENTENCES.items():
        if other == split:
            return chosen[start : start + count]
        start += count
    raise ValueError(f"There is no split '{split}'.")
