"""Named hparams sets of `multimodel_t2t`, with the values of Tensor2Tensor 1.2.7."""

import dataclasses

from t2t_mm import registry
from t2t_mm.models.multimodel_t2t_hparams import MultiModelT2THParams


@registry.register_hparams("multimodel_t2t")
def multimodel_t2t() -> MultiModelT2THParams:
    """Tensor2Tensor's `multimodel_base`, which is not the paper's model.

    What differs: padding reaches no expert, class 0 counts, non-square images keep
    their shape, sounds have the nets of the release before it, weights do not decay and
    the initial values are Glorot's.
    """
    return MultiModelT2THParams(
        moe_capacity_factor=0.0,
        class_label_net="release",
        class_label_filters=(640, 1024, 1280),
        optimizer_adam_beta1=0.85,
        optimizer_adam_beta2=0.997,
        optimizer_adam_epsilon=1e-6,
        learning_rate_schedule="constant*linear_warmup*rsqrt_decay*rsqrt_hidden_size",
        # 5000 of "noam" times 0.1 of the set, over the 500 inside its Adam: at most
        # 7.0e-4, after the warm-up.
        learning_rate_constant=1.0,
        learning_rate_warmup_steps=4000,
        clip_grad_norm=2.0,
    )


@registry.register_hparams("multimodel_t2t_tiny")
def multimodel_t2t_tiny() -> MultiModelT2THParams:
    """Tensor2Tensor's `multimodel_tiny`, trained for minutes on two CPU cores.

    Modality nets, dropout and schedule are those of our `multimodel_tiny`: with
    Tensor2Tensor's a run of minutes does not get past its warm-up. It has the 10
    experts that its authors meant, where a renamed hyperparameter left 30.
    """
    return dataclasses.replace(
        multimodel_t2t(),
        batch_size=512,
        batch_examples=32,
        hidden_size=128,
        filter_size=512,
        num_hidden_layers=2,
        num_heads=4,
        dropout=0.0,
        attention_dropout=0.0,
        moe_num_experts=10,
        moe_filter_size=512,
        moe_layers=(0,),
        image_stem_filters=(16, 16),
        image_filters=(32,),
        class_label_net="paper",
        class_label_filters=(128, 192, 256),
        audio_filters=(8, 16),
        audio_time_stride=4,
        audio_merge_bins=True,
        learning_rate_constant=1e-3,
        learning_rate_schedule="constant*linear_warmup*linear_decay",
        learning_rate_warmup_steps=200,
    )
