"""Options of decoding."""

import dataclasses
from typing import Any

from t2t_mm import config_fields

SAMPLING_METHODS = ("argmax", "random")
_FILES = "outputs go to --decode_to_file or standard output"
# Names that Tensor2Tensor had, and what there is instead.
_OTHERS = {
    "block_size": "blockwise decoding does not exist here",
    "decode_in_memory": "use the Python interface, `Decoder.decode`",
    "decode_reference": "--split has references and logs the scores",
    "decode_timeout_mins": "decoding waits for nothing",
    "decode_to_file": "it is a flag, --decode_to_file",
    "delimiter": "an input is a line",
    "guess_and_check_epsilon": "blockwise decoding does not exist here",
    "guess_and_check_top_k": "blockwise decoding does not exist here",
    "identity_output": "--output_format=jsonl has the ids of outputs",
    "insertion_parallel": "insertion models do not exist here",
    "log_results": _FILES,
    "multiproblem_task_id": "--problem names the problem of a joint model",
    "num_samples": "--max_batches decodes a part of a split",
    "save_images": _FILES,
    "shard_google_format": "decode parts of the input with commands of their own",
    "shard_id": "decode parts of the input with commands of their own",
    "shards": "decode parts of the input with commands of their own",
    "shards_start_offset": "decode parts of the input with commands of their own",
    "skip_eos_postprocess": "outputs end where the end of sequence stands",
    "summaries_log_dir": _FILES,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """How to decode; `t2t-decoder` sets it with --decode_hparams.

    Attributes:
      beam_size: sequences that are looked at side by side; 1 is greedy search. Of
        classes, how many there are with `return_beams`.
      alpha: with beams, the larger, the longer the outputs; 0 for plain probability.
      return_beams: give all beams, the best first, not the best alone.
      write_beam_scores: write the score of each output beside it.
      return_attention: give the best output's attention to the encoded input.
      sampling_method: "argmax" for the most likely, "random" for samples.
      sampling_temp: of samples; below 1 the likely gets likelier.
      sampling_keep_top_k: sample only from so many of the most likely ids; 0 for all.
      sampling_keep_top_p: sample only from the most likely ids that together have this
        probability; 1 for all.
      num_decodes: samples of each input.
      seed: of samples; the same inputs in the same order give the same samples.
      extra_length: an output has at most this many more positions than the encoded
        input; without inputs, a prompt is continued by at most this many.
      min_length_ratio: an output has at least this many ids for each position of the
        encoded input, before the one that ends it.
      force_decode_length: all outputs are as long as `extra_length` lets them be.
      eos_penalty: is taken off the log-probability of the end at every position; above
        0 outputs get longer.
      max_input_size: longer texts are cut to this many ids, with a warning.
      batch_size: inputs that are decoded together, in tokens for text and in examples
        otherwise; 0 for the sizes of training.
      constrained: give only outputs of the form that the problem's `output_rule`
        describes, such as trees over the words of the input.
      allowed_outputs: give only outputs of these, texts or names of classes; all if
        empty.
    """

    beam_size: int = 1
    alpha: float = 0.6
    return_beams: bool = False
    write_beam_scores: bool = False
    return_attention: bool = False
    sampling_method: str = "argmax"
    sampling_temp: float = 1.0
    sampling_keep_top_k: int = 0
    sampling_keep_top_p: float = 1.0
    num_decodes: int = 1
    seed: int = 0
    extra_length: int = 50
    min_length_ratio: float = 0.0
    force_decode_length: bool = False
    eos_penalty: float = 0.0
    max_input_size: int = 4096
    batch_size: int = 0
    constrained: bool = False
    allowed_outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks types, ranges and what goes together.

        Raises:
          ValueError: naming the field, its value and what is allowed.
        """
        config_fields.check_types(self)
        self._check_ranges()
        if self.sampling_method not in SAMPLING_METHODS:
            raise ValueError(
                f"`sampling_method` must be one of {', '.join(SAMPLING_METHODS)}; got "
                f"'{self.sampling_method}'."
            )
        if self.is_random and self.beam_size > 1:
            raise ValueError(
                "`sampling_method=random` draws one id at a time and has no beams; got "
                f"`beam_size={self.beam_size}`. `num_decodes` gives several samples."
            )
        if self.is_random and self.return_beams:
            raise ValueError(
                "`return_beams` has no effect with `sampling_method=random`, which has "
                "no beams. `num_decodes` gives several samples."
            )
        if self.num_decodes > 1 and not self.is_random:
            raise ValueError(
                "`num_decodes` above 1 gives the same output each time unless "
                "`sampling_method=random`. `return_beams` gives several outputs."
            )
        self._check_sampling()
        self._check_constraints()

    def _check_sampling(self) -> None:
        for name in ("sampling_temp", "sampling_keep_top_k", "sampling_keep_top_p"):
            if name in self.changes() and not self.is_random:
                raise ValueError(
                    f"`{name}` has no effect without `sampling_method=random`."
                )

    def _check_constraints(self) -> None:
        given = [n for n in ("constrained", "allowed_outputs") if getattr(self, n)]
        if given and (self.min_length_ratio or self.force_decode_length):
            raise ValueError(
                f"`{given[0]}` says when an output ends; `min_length_ratio` and "
                "`force_decode_length` cannot be set with it."
            )
        if len(given) > 1:
            raise ValueError(
                "`constrained` and `allowed_outputs` each say all of what outputs may "
                "be. Give one of them."
            )

    def _check_ranges(self) -> None:
        least = {
            "beam_size": 1,
            "alpha": 0,
            "sampling_keep_top_k": 0,
            "num_decodes": 1,
            "extra_length": 1,
            "min_length_ratio": 0,
            "max_input_size": 1,
            "batch_size": 0,
        }
        for field, value in least.items():
            if getattr(self, field) < value:
                raise ValueError(
                    f"`{field}` must be at least {value}; got {getattr(self, field)}."
                )
        if self.sampling_temp <= 0:
            raise ValueError(
                f"`sampling_temp` must be above 0; got {self.sampling_temp}."
            )
        if not 0 < self.sampling_keep_top_p <= 1:
            raise ValueError(
                "`sampling_keep_top_p` must be above 0 and at most 1; got "
                f"{self.sampling_keep_top_p}."
            )

    @property
    def is_random(self) -> bool:
        """Whether outputs are samples."""
        return self.sampling_method == "random"

    @property
    def num_results(self) -> int:
        """Largest number of outputs of an input."""
        if self.is_random:
            return self.num_decodes
        return self.beam_size if self.return_beams else 1

    def changes(self) -> dict[str, Any]:
        """Returns the options that differ from the defaults, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }


def parse(text: str) -> DecodeConfig:
    """Returns the options that "beam_size=4,alpha=0.6" stands for.

    Raises:
      ValueError: for a name that does not exist or a value that is not allowed; says
        what there is in place of names of Tensor2Tensor.
    """
    for part in text.split(","):
        name = part.partition("=")[0].strip()
        if name in _OTHERS:
            raise ValueError(f"There is no `{name}` in decoding: {_OTHERS[name]}.")
    return DecodeConfig(**config_fields.parse_overrides(text, DecodeConfig))
