"""Read speech of the Wall Street Journal corpus, WSJ0 and WSJ1: the paper's task.

What is in training, dev and test follows common practice: si_tr_s of both halves for
SI-284 or of the first for SI-84, dev93 (503 utterances) and eval92 (333).
"""

import contextlib
import functools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import audio_problem, sphere
from t2t_mm.data import corpus as corpora
from t2t_mm.data.text_problem import VocabType
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import wsj_discs, wsj_transcripts

SI_84 = wsj_discs.Line("11-13.1", "wsj0/doc/indices/train/tr_s_wv1.ndx")
SI_200 = wsj_discs.Line("13-34.1", "wsj1/doc/indices/si_tr_s.ndx")
DEV_93 = wsj_discs.Line("13-34.1", "wsj1/doc/indices/h1_p0.ndx")
EVAL_92 = wsj_discs.Line("11-13.1", "wsj0/doc/indices/test/nvp/si_et_20.ndx")
FIRST_MICROPHONE = ".wv1"
# A speaker who is twice in WSJ0.
LEFT_OUT = wsj_discs.Line("11-2.1", "wsj0/si_tr_s/401/")

CORPUS = corpora.Corpus(
    name="wsj_speech",
    title="the discs of the Wall Street Journal speech corpora CSR-I and CSR-II",
    obtain=(
        "from the Linguistic Data Consortium, https://catalog.ldc.upenn.edu: "
        "LDC93S6A (or LDC93S6B) and LDC94S13A (or LDC94S13B), which cost a fee."
    ),
    layout=(
        "a folder for each disc, with what is on it: 11-1.1/wsj0/... to 11-15.1, and "
        "13-1.1/wsj1/... to 13-34.1,\n"
        "or all of them in two folders, wsj0 and wsj1. Names may have capitals."
    ),
    licence="LDC user agreement; not to be passed on.",
    stand_ins=("librispeech", "mini_speech"),
)


@registry.register_problem("wsj_speech")
class WsjSpeech(audio_problem.SpeechRecognitionProblem):
    """Speech to small letters, after 284 speakers (SI-284), 81 hours.

    Attributes:
      lists: the index lists of each split.
      punctuation: what becomes of punctuation that is said; one of
        `wsj_transcripts.Punctuation`.
    """

    vocab_type = VocabType.BYTE
    target_space = SpaceId.EN_CHR
    corpus = CORPUS
    punctuation: ClassVar[str] = wsj_transcripts.Punctuation.WORDS
    lists: ClassVar[Mapping[Split, tuple[wsj_discs.Line, ...]]] = {
        Split.TRAIN: (SI_84, SI_200),
        Split.EVAL: (DEV_93,),
        Split.TEST: (EVAL_92,),
    }

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits; an hour of sound is 115 MB."""
        num_shards = {Split.TRAIN: 50, Split.EVAL: 1, Split.TEST: 1}
        return [{"split": split, "shards": n} for split, n in num_shards.items()]

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records."""
        return {**super().generation_settings(), "punctuation": self.punctuation}

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the utterances of one split, in the order of its lists.

        Raises:
          FileNotFoundError: if a disc is missing that the lists name, or the program
            that its files need.
        """
        discs = wsj_discs.Discs(self.require_corpus_path())
        lines = self._read_lists(discs, self.lists[Split(dataset_split)])
        transcripts = discs.transcripts()
        is_first = True
        for line in lines:
            sample = self._sample(line, discs, transcripts)
            if is_first and isinstance(sample, dict):
                is_first = False
                _check_decompressor(sample["inputs"])
            yield sample

    def _sample(
        self,
        line: wsj_discs.Line,
        discs: wsj_discs.Discs,
        transcripts: Mapping[str, pathlib.Path],
    ) -> dict[str, Any] | problem.Rejected:
        if _is_left_out(line):
            reason = "a speaker who is there twice"
            return problem.Rejected(name=line.file, reason=reason, harmless=True)
        path = discs.find(*line, ending=FIRST_MICROPHONE)
        if path is None:
            reason = "its sound file is missing"
            return problem.Rejected(name=line.file, reason=reason)
        utterance = path.name.split(".")[0].lower()
        dot_file = transcripts.get(wsj_discs.session_of(utterance))
        text = _read_transcripts(dot_file).get(utterance)
        if text is None:
            reason = "its transcript is missing"
            return problem.Rejected(name=line.file, reason=reason)
        targets = wsj_transcripts.normalize(text, self.punctuation)
        if not targets:
            reason = "nothing is said"
            return problem.Rejected(name=line.file, reason=reason, harmless=True)
        return {"inputs": path, "targets": targets, "name": line.file}

    def _read_lists(
        self, discs: wsj_discs.Discs, lists: tuple[wsj_discs.Line, ...]
    ) -> list[wsj_discs.Line]:
        """Returns the lines of some index lists; all their discs are there."""
        self._require(discs, {index.disc for index in lists})
        lines = []
        for index in lists:
            path = discs.find(*index)
            if path is None:
                raise FileNotFoundError(
                    f"The disc {index.disc} must have the list '{index.file}'; it has "
                    f"not. {CORPUS.help_page(self.name, discs.root)}"
                )
            content = path.read_text(encoding="latin-1")
            lines += list(wsj_discs.parse_list(content))
        self._require(discs, {line.disc for line in lines})
        return lines

    def _require(self, discs: wsj_discs.Discs, wanted: set[str]) -> None:
        missing = sorted(disc for disc in wanted if not discs.has(disc))
        if missing:
            raise FileNotFoundError(
                f"{self.name} lacks the discs {', '.join(missing)}; it has "
                f"{', '.join(discs.folders) or 'none'}. "
                f"{CORPUS.help_page(self.name, discs.root)}"
            )


@registry.register_problem("wsj_speech_si84")
class WsjSpeechSi84(WsjSpeech):
    """Speech to small letters, after 84 speakers (SI-84), 15 hours."""

    lists: ClassVar[Mapping[Split, tuple[wsj_discs.Line, ...]]] = {
        **WsjSpeech.lists,
        Split.TRAIN: (SI_84,),
    }


def _is_left_out(line: wsj_discs.Line) -> bool:
    disc, folder = LEFT_OUT
    return line.disc == disc and line.file.lower().startswith(folder)


@functools.lru_cache(maxsize=8)  # lists go session by session
def _read_transcripts(path: pathlib.Path | None) -> dict[str, str]:
    if path is None:
        return {}
    return wsj_transcripts.parse(path.read_text(encoding="latin-1"))


def _check_decompressor(path: pathlib.Path) -> None:
    """Fails once and clearly, not for every file, where the program is not there."""
    with path.open("rb") as file:
        start = file.read(sphere.MAX_HEADER_SIZE)
    with contextlib.suppress(ValueError):  # a damaged file is a bad sample later
        if sphere.is_sphere(start) and sphere.parse_header(start).is_compressed:
            sphere.decompressor()
