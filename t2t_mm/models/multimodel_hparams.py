"""Hyperparameters of MultiModel, apart from its code: reading them is instant."""

import dataclasses

from t2t_mm.models import expert_hparams

SECOND_SKIPS = ("input", "hidden2", "none")
DROPOUT_POSITIONS = ("block", "stack")
ATTENTION_TYPES = ("paper", "simple", "none")
ATTENTION_PREMIXES = ("conv_step", "conv_block")
NORM_POSITIONS = ("release", "post", "pre")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiModelHParams(expert_hparams.ExpertHParams):
    """Hyperparameters of `multimodel`; defaults are those of the paper.

    One is not, the limit `moe_capacity_factor`: sets that follow the original lift it.
    "Release" means the code that was published with the paper (Tensor2Tensor 1.0.3 to
    1.0.7), where it differs or where the paper is silent.

    Attributes:
      hidden_size: depth of every position in the body.
      dropout: after convolutions.
      dropout_position: after every "block" of convolutions (paper) or after every
        "stack" of blocks (release).
      kernel_sizes: of the steps of a block of convolutions: two, and those after the
        first skip.
      dilation_rates: of the same steps.
      separabilities: of the same steps: 0 for separable convolutions (paper), -g for
        separable ones in g groups of channels (release). The first two are also those
        of the attention's convolutions.
      second_skip: what a block adds to its last step: its "input" (paper), input and
        first pair, "hidden2" (release), or "none" (as one printing of the paper).
      timing_channels: channels that get the timing signal, an even number; 0 for all.
      timing_on_encoder: add it to the encoder's input too, not to attention alone.
      num_encoder_blocks: blocks of convolutions in the encoder.
      encoder_moe_after: how many of them come before the experts.
      num_mixer_blocks: blocks of convolutions in the mixer; 0 in the release.
      mixer_merge_separability: of the step that merges attention and targets; 4, an
        ordinary convolution in 4 groups, in the release.
      num_decoder_blocks: blocks of convolutions and attention in the decoder.
      decoder_moe_after: how many of them come before the experts.
      attention_type: "paper": self-attention, then attention to the source, both with
        heads and projections; "simple": to the source alone, one head, no projections
        (release); "none": the mean of the source, for ablations.
      attention_premix: the two causal convolutions before attention: "conv_step" or
        whole blocks, "conv_block"; the paper calls them blocks and gives no sizes. With
        `attention_type` "none" there are none.
      attention_query_residual: add the mixed target to its self-attention before it
        asks the source; the paper is silent. This and the next two have an effect with
        `attention_type` "paper" alone.
      attention_dropout: probability of dropping an attention weight.
      num_heads: heads of every attention.
      norm_position: x + LN(x + attended), "release"; LN(x + attended), "post"; or
        x + attended(LN(x)), "pre". Experts: LN(x + experts(x)), or "pre" likewise.
      categorical_via_decoder: read classes off the decoder after one step from the
        command, not off the encoder; for ablations.
    """

    hidden_size: int = 1024
    dropout: float = 0.4
    dropout_position: str = "block"
    kernel_sizes: tuple[int, ...] = (3, 3, 15, 15)
    dilation_rates: tuple[int, ...] = (1, 1, 1, 8)
    separabilities: tuple[int, ...] = (0, 0, 0, 0)
    second_skip: str = "input"
    timing_channels: int = 0
    timing_on_encoder: bool = True
    num_encoder_blocks: int = 6
    encoder_moe_after: int = 3
    num_mixer_blocks: int = 2
    mixer_merge_separability: int = 0
    num_decoder_blocks: int = 4
    decoder_moe_after: int = 2
    attention_type: str = "paper"
    attention_premix: str = "conv_step"
    attention_query_residual: bool = False
    attention_dropout: float = 0.1
    num_heads: int = 8
    norm_position: str = "release"
    categorical_via_decoder: bool = False

    def __post_init__(self) -> None:
        """Checks the fields, alone and together."""
        super().__post_init__()
        self.check_rates("attention_dropout")
        self.check_positive("num_encoder_blocks", "num_decoder_blocks", "num_heads")
        self.check_not_negative(
            "num_mixer_blocks", "mixer_merge_separability", "timing_channels"
        )
        self.check_choice("dropout_position", DROPOUT_POSITIONS)
        self.check_choice("second_skip", SECOND_SKIPS)
        self.check_choice("attention_type", ATTENTION_TYPES)
        self.check_choice("attention_premix", ATTENTION_PREMIXES)
        self.check_choice("norm_position", NORM_POSITIONS)
        self._check_steps()
        self._check_together()

    def _check_steps(self) -> None:
        if len(self.kernel_sizes) < 3:
            raise ValueError(
                "`kernel_sizes` must have at least three numbers, one for each step of "
                f"a block; got {self.kernel_sizes}."
            )
        for field in ("dilation_rates", "separabilities"):
            if len(getattr(self, field)) != len(self.kernel_sizes):
                raise ValueError(
                    f"`{field}` must have as many numbers as `kernel_sizes` "
                    f"{self.kernel_sizes}; got {getattr(self, field)}."
                )
        if any(size < 1 or size % 2 == 0 for size in self.kernel_sizes):
            raise ValueError(
                "`kernel_sizes` must be odd, so that a position is in the middle; got "
                f"{self.kernel_sizes}."
            )
        self.check_all_positive("dilation_rates")
        if self.timing_channels % 2:
            raise ValueError(
                "`timing_channels` must be even, as there is a cosine to every sine; "
                f"got {self.timing_channels}."
            )
        if any(separability > 0 for separability in self.separabilities):
            raise ValueError(
                f"`separabilities` must be 0 or negative; got {self.separabilities}."
            )

    def _check_together(self) -> None:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"`hidden_size` ({self.hidden_size}) must be divisible by `num_heads` "
                f"({self.num_heads})."
            )
        for groups in (*self.separabilities, self.mixer_merge_separability):
            if groups and self.hidden_size % abs(groups):
                raise ValueError(
                    f"`hidden_size` ({self.hidden_size}) must be divisible by the "
                    f"number of groups of a convolution ({abs(groups)})."
                )
        for part in ("encoder", "decoder"):
            before = getattr(self, f"{part}_moe_after")
            blocks = getattr(self, f"num_{part}_blocks")
            if not 0 <= before <= blocks:
                raise ValueError(
                    f"`{part}_moe_after` must be between 0 and `num_{part}_blocks` "
                    f"({blocks}); got {before}."
                )
