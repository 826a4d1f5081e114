"""Named hparams sets of `transformer`, with the values of Tensor2Tensor 1.15."""

import dataclasses

from t2t_mm import registry
from t2t_mm.models.transformer_hparams import TransformerHParams


@registry.register_hparams("transformer_base")
def transformer_base() -> TransformerHParams:
    """The paper's base model, normalised before sub-layers: for one accelerator.

    Layers that `moe_layers` turns into experts cost each position as much as before.
    """
    return TransformerHParams(
        batch_size=4096,
        shared_embedding_and_softmax_weights=True,
        moe_num_experts=32,
        moe_k=2,
        moe_filter_size=1024,
        class_label_filters=(512, 768, 1024),
        audio_filters=(32, 64, 128, 256),
        audio_time_stride=8,
        audio_merge_bins=True,
        optimizer_adam_beta2=0.997,
        learning_rate_schedule="constant*linear_warmup*rsqrt_decay*rsqrt_hidden_size",
        learning_rate_constant=2.0,
        learning_rate_warmup_steps=8000,
        clip_grad_norm=0.0,
    )


@registry.register_hparams("transformer_big")
def transformer_big() -> TransformerHParams:
    """The paper's big model."""
    return dataclasses.replace(
        transformer_base(),
        batch_size=2048,
        hidden_size=1024,
        filter_size=4096,
        num_heads=16,
        dropout=0.3,
        moe_filter_size=2048,
        class_label_filters=(1024, 1536, 2048),
    )


@registry.register_hparams("transformer_small")
def transformer_small() -> TransformerHParams:
    """Depth 256 in two layers: for an afternoon on a workstation."""
    return dataclasses.replace(
        transformer_base(),
        hidden_size=256,
        num_hidden_layers=2,
        filter_size=1024,
        num_heads=4,
        moe_num_experts=16,
        moe_filter_size=512,
        image_stem_filters=(16, 32),
        image_filters=(64,),
        class_label_filters=(256, 384, 512),
        audio_filters=(16, 32, 64),
    )


@registry.register_hparams("transformer_tiny")
def transformer_tiny() -> TransformerHParams:
    """Depth 128: Tensor2Tensor's sizes, trained for minutes on two CPU cores.

    Batches, dropout and schedule are those of `multimodel_tiny`: with Tensor2Tensor's a
    run of minutes does not get past its warm-up. The learning rate is twice as high:
    `reverse_digits` is learned faster with it.
    """
    return dataclasses.replace(
        transformer_small(),
        batch_size=512,
        hidden_size=128,
        filter_size=512,
        dropout=0.0,
        attention_dropout=0.0,
        relu_dropout=0.0,
        moe_num_experts=8,
        moe_filter_size=256,
        image_stem_filters=(16, 16),
        image_filters=(32,),
        class_label_filters=(128, 192, 256),
        audio_filters=(8, 16),
        audio_time_stride=4,
        learning_rate_constant=2e-3,
        learning_rate_schedule="constant*linear_warmup*linear_decay",
        learning_rate_warmup_steps=200,
        clip_grad_norm=1.0,
    )


@registry.register_hparams("transformer_base_v1")
def transformer_base_v1() -> TransformerHParams:
    """The base model with norms after sub-layers, as in the paper."""
    return dataclasses.replace(transformer_base(), norm_position="post")


@registry.register_hparams("transformer_relative")
def transformer_relative() -> TransformerHParams:
    """The base model with self-attention that knows distances (Shaw et al. 2018)."""
    return dataclasses.replace(transformer_base(), relative_attention_window=20)


@registry.register_hparams("transformer_tiny_experts")
def transformer_tiny_experts() -> TransformerHParams:
    """The tiny model with experts instead of its second feed-forward layers."""
    return dataclasses.replace(transformer_tiny(), moe_layers=(1,))
