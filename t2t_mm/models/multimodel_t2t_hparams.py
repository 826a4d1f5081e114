"""Hyperparameters of Tensor2Tensor's own MultiModel; reading them is instant."""

import dataclasses

from t2t_mm.models import expert_hparams


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiModelT2THParams(expert_hparams.ExpertHParams):
    """Hyperparameters of `multimodel_t2t`; defaults are those of `multimodel_base`.

    One is not, the limit `moe_capacity_factor`: sets that follow the original lift it.
    The names are Tensor2Tensor's, apart from `kernel_size`, which was `kernel_height`,
    and `moe_filter_size`, which was `moe_hidden_sizes`.

    Attributes:
      dropout: inside both branches of the encoder and the feed-forward nets, and of
        what every branch and every sub-layer returns.
      num_hidden_layers: layers of the encoder, and as many of the decoder.
      filter_size: width of the convolutions and of the experts in the encoder, and of
        the decoder's feed-forward nets without experts.
      kernel_size: of the first two convolutions of an encoder layer.
      large_kernel_size: of the last two.
      num_heads: heads of every attention.
      attention_dropout: probability of dropping an attention weight.
      moe_layers: decoder layers, counted from 0, whose feed-forward net has experts;
        every encoder layer has some.
      moe_filter_size: width of the experts in the decoder.
    """

    moe_num_experts: int = 30
    moe_k: int = 2
    moe_filter_size: int = 2048
    moe_autoscale: bool = True
    num_hidden_layers: int = 4
    filter_size: int = 2048
    kernel_size: int = 3
    large_kernel_size: int = 15
    num_heads: int = 8
    attention_dropout: float = 0.1
    moe_layers: tuple[int, ...] = (2,)

    def __post_init__(self) -> None:
        """Checks the fields, alone and together."""
        super().__post_init__()
        self.check_rates("attention_dropout")
        self.check_positive(
            "num_hidden_layers",
            "filter_size",
            "kernel_size",
            "large_kernel_size",
            "num_heads",
        )
        for field in ("kernel_size", "large_kernel_size"):
            if getattr(self, field) % 2 == 0:
                raise ValueError(
                    f"`{field}` must be odd, so that a position is in the middle; "
                    f"got {getattr(self, field)}."
                )
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
