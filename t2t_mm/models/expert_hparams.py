"""Hyperparameters of the experts, shared by all models that have some."""

import dataclasses

from t2t_mm import hparam

FEED_FORWARDS = ("experts", "dense")
ACTIVATIONS = ("relu", "swiglu")
ROUTERS = ("noisy_top_k", "softmax")
ROUTER_INPUTS = ("token", "token+task")
BALANCES = ("cv", "switch", "bias", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExpertHParams(hparam.HParams):
    """Hyperparameters of layers that `models/feed_forward.py` makes.

    Attributes:
      feed_forward: "experts", or "dense": one net for all positions that costs each
        as much as its experts would. Of the other fields, a dense net reads `moe_k`,
        `moe_filter_size`, `moe_activation`, `moe_autoscale` and
        `moe_num_shared_experts`.
      moe_num_experts: experts in each mixture.
      moe_k: experts that a position uses.
      moe_filter_size: width of an expert.
      moe_activation: between the two layers of an expert: "relu", or "swiglu" (Shazeer
        2020), which has a third matrix.
      moe_autoscale: multiply what an expert returns by sqrt(hidden_size / filter_size),
        as Tensor2Tensor.
      moe_num_shared_experts: experts that every position uses besides its own.
      moe_router: "noisy_top_k" (Shazeer et al. 2017), or "softmax": probabilities of
        all experts, without noise; with `moe_k` 1 the gate is the probability itself
        (Switch), otherwise the gates of the chosen sum to 1 (GShard). With
        "noisy_top_k" and `moe_k` 1 the gate is always 1: the task teaches the router
        nothing, only the balance does.
      moe_router_input: "token", or "token+task": the gate also sees the command.
      moe_balance: "cv" (importance and load, Shazeer et al. 2017), "switch" (Fedus et
        al. 2021), "bias" (a bias per expert for the choice alone, moved against the
        load: Wang et al. 2024) or "none".
      moe_loss_coef: weight of the loss "cv" or "switch".
      moe_bias_rate: how far "bias" moves per step.
      moe_router_z_loss: weight of the mean squared logsumexp of the gate's logits.
      moe_capacity_factor: rows per expert in training, over what a perfect balance of
        the positions that are data needs (under XLA, whose shapes are static, of all
        positions); 0 for as many as are needed (dropless). Evaluation never drops.
      moe_route_padding: send padding to the experts and count it in losses, as
        Tensor2Tensor did; only to compare with it.
    """

    feed_forward: str = "experts"
    moe_num_experts: int = 240
    moe_k: int = 4
    moe_filter_size: int = 1024
    moe_activation: str = "relu"
    moe_autoscale: bool = False
    moe_num_shared_experts: int = 0
    moe_router: str = "noisy_top_k"
    moe_router_input: str = "token"
    moe_balance: str = "cv"
    moe_loss_coef: float = 1e-2
    moe_bias_rate: float = 1e-3
    moe_router_z_loss: float = 0.0
    moe_capacity_factor: float = 2.0
    moe_route_padding: bool = False

    def __post_init__(self) -> None:
        """Checks the fields, alone and together."""
        super().__post_init__()
        self.check_positive("moe_num_experts", "moe_k", "moe_filter_size")
        self.check_not_negative(
            "moe_num_shared_experts",
            "moe_loss_coef",
            "moe_bias_rate",
            "moe_router_z_loss",
        )
        if self.moe_capacity_factor and not self.moe_capacity_factor >= 1:
            raise ValueError(
                "`moe_capacity_factor` must be at least 1, or 0 for no limit; got "
                f"{self.moe_capacity_factor}."
            )
        self.check_choice("feed_forward", FEED_FORWARDS)
        self.check_choice("moe_activation", ACTIVATIONS)
        self.check_choice("moe_router", ROUTERS)
        self.check_choice("moe_router_input", ROUTER_INPUTS)
        self.check_choice("moe_balance", BALANCES)
        if self.moe_balance == "bias" and self.moe_router != "softmax":
            raise ValueError(
                "`moe_balance` 'bias' replaces noise: it needs `moe_router` 'softmax'; "
                f"got '{self.moe_router}'."
            )
        if self.remat and self.moe_balance == "bias":
            raise ValueError(
                "`remat` must be false with `moe_balance` 'bias', which moves in every "
                "forward pass, and `remat` has two in a step. Choose another balance."
            )
        if self.feed_forward == "experts" and self._gate_learns_nothing():
            raise ValueError(
                "`moe_k` must be at least 2 with `moe_router` 'noisy_top_k' and "
                "`moe_balance` 'none'; got 1: every gate would be 1, and nothing would "
                "teach the router. For one expert take `moe_router` 'softmax'."
            )
        if self.moe_k > self.moe_num_experts:
            raise ValueError(
                f"`moe_k` ({self.moe_k}) must be at most `moe_num_experts` "
                f"({self.moe_num_experts})."
            )

    def _gate_learns_nothing(self) -> bool:
        router = (self.moe_router, self.moe_balance, self.moe_k)
        return router == ("noisy_top_k", "none", 1)
