"""Options of decoding."""

import dataclasses

from t2t_mm import hparam


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecodeConfig:
    """How to decode; `t2t-decoder` sets it with --decode_hparams.

    Attributes:
      extra_length: an output has at most this many more positions than the encoded
        input; without inputs, a prompt is continued by at most this many.
      batch_size: inputs that are decoded together, in tokens for text and in examples
        otherwise; 0 for the sizes of training.
      constrained: give only outputs of the form that the problem's `output_rule`
        describes, such as trees over the words of the input.
    """

    extra_length: int = 50
    batch_size: int = 0
    constrained: bool = False

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
          ValueError: naming the field, its value and what is allowed.
        """
        hparam.check_types(self)
        for field, least in (("extra_length", 1), ("batch_size", 0)):
            if getattr(self, field) < least:
                raise ValueError(
                    f"`{field}` must be at least {least}; got {getattr(self, field)}."
                )
