"""Hyperparameters of the Transformer, apart from its code: reading them is instant."""

import dataclasses

from t2t_mm.models import expert_hparams

NORM_POSITIONS = ("pre", "post")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransformerHParams(expert_hparams.ExpertHParams):
    """Hyperparameters of `transformer`; defaults are those of the paper's base model.

    The names are Tensor2Tensor's, apart from `dropout`, which was
    `layer_prepostprocess_dropout`, `norm_position`, which was two strings of letters,
    and `relative_attention_window`, which was `max_relative_position`.

    Attributes:
      dropout: of what each sub-layer returns and of the embedded sequences.
      num_hidden_layers: layers of the encoder, and as many of the decoder.
      num_heads: heads of every attention.
      filter_size: width of the feed-forward net of a layer without experts.
      attention_dropout: probability of dropping an attention weight.
      relu_dropout: probability of zeroing a hidden unit of such a feed-forward net.
      norm_position: "pre": normalise what enters a sub-layer, and once more at the end
        of encoder and decoder; "post": normalise the sum after it, as the paper.
      relative_attention_window: distance up to which self-attention tells positions
        apart by their distance (Shaw et al. 2018); 0 for plain attention.
      moe_layers: layers of encoder and of decoder, counted from 0, whose feed-forward
        net is the one that `feed_forward` and the fields `moe_*` describe; without any,
        these fields have no effect.
    """

    num_hidden_layers: int = 6
    num_heads: int = 8
    filter_size: int = 2048
    attention_dropout: float = 0.1
    relu_dropout: float = 0.1
    norm_position: str = "pre"
    relative_attention_window: int = 0
    moe_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Checks the fields, alone and together."""
        super().__post_init__()
        self.check_rates("attention_dropout", "relu_dropout")
        self.check_positive("num_hidden_layers", "num_heads", "filter_size")
        self.check_not_negative("relative_attention_window")
        self.check_choice("norm_position", NORM_POSITIONS)
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"`hidden_size` ({self.hidden_size}) must be divisible by `num_heads` "
                f"({self.num_heads})."
            )
        if not set(self.moe_layers) <= set(range(self.num_hidden_layers)):
            raise ValueError(
                f"`moe_layers` must be between 0 and {self.num_hidden_layers - 1}, as "
                f"`num_hidden_layers` is {self.num_hidden_layers}; "
                f"got {self.moe_layers}."
            )
