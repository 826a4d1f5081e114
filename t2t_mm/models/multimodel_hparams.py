"""Hyperparameters of MultiModel, apart from its code: reading them is instant."""

import dataclasses

from t2t_mm.models import expert_hparams


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiModelHParams(expert_hparams.ExpertHParams):
    """Hyperparameters of `multimodel`; defaults are those of the paper.

    Attributes:
      hidden_size: depth of every position in the body.
      dropout: after every block of convolutions.
      kernel_sizes: of the four steps of a block of convolutions.
      dilation_rates: of the same steps.
      num_encoder_blocks: blocks of convolutions in the encoder.
      encoder_moe_after: how many of them come before the experts.
      num_mixer_blocks: blocks of convolutions in the mixer.
      num_decoder_blocks: blocks of convolutions and attention in the decoder.
      decoder_moe_after: how many of them come before the experts.
      num_heads: heads of every attention.
      attention_query_residual: add the mixed target to its self-attention before it
        asks the source; the paper is silent, its first release has no self-attention.
      attention_dropout: probability of dropping an attention weight.
    """

    hidden_size: int = 1024
    dropout: float = 0.4
    kernel_sizes: tuple[int, ...] = (3, 3, 15, 15)
    dilation_rates: tuple[int, ...] = (1, 1, 1, 8)
    num_encoder_blocks: int = 6
    encoder_moe_after: int = 3
    num_mixer_blocks: int = 2
    num_decoder_blocks: int = 4
    decoder_moe_after: int = 2
    num_heads: int = 8
    attention_query_residual: bool = False
    attention_dropout: float = 0.1

    def __post_init__(self) -> None:
        """Checks the fields, alone and together."""
        super().__post_init__()
        self.check_rates("attention_dropout")
        self.check_positive(
            "num_encoder_blocks",
            "num_decoder_blocks",
            "num_heads",
        )
        self.check_not_negative("num_mixer_blocks")
        for field in ("kernel_sizes", "dilation_rates"):
            if len(getattr(self, field)) != 4:
                raise ValueError(
                    f"`{field}` must have four numbers, one for each step of a block; "
                    f"got {getattr(self, field)}."
                )
        self._check_together()

    def _check_together(self) -> None:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"`hidden_size` ({self.hidden_size}) must be divisible by `num_heads` "
                f"({self.num_heads})."
            )
        for part in ("encoder", "decoder"):
            before = getattr(self, f"{part}_moe_after")
            blocks = getattr(self, f"num_{part}_blocks")
            if not 0 <= before <= blocks:
                raise ValueError(
                    f"`{part}_moe_after` must be between 0 and `num_{part}_blocks` "
                    f"({blocks}); got {before}."
                )
