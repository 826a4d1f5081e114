"""Named hparams sets of `multimodel`."""

import dataclasses

from t2t_mm import registry
from t2t_mm.models.multimodel_hparams import MultiModelHParams


@registry.register_hparams("multimodel_base")
def multimodel_base() -> MultiModelHParams:
    """The paper's form at half its depth: for one accelerator."""
    return MultiModelHParams(
        hidden_size=512,
        dropout=0.1,
        moe_num_experts=32,
        moe_filter_size=512,
        class_label_filters=(768, 1024),
        audio_filters=(32, 64, 128, 256),
        audio_time_stride=8,
        audio_merge_bins=True,
    )


@registry.register_hparams("multimodel_small")
def multimodel_small() -> MultiModelHParams:
    """Depth 256: for an afternoon on a workstation."""
    return dataclasses.replace(
        multimodel_base(),
        hidden_size=256,
        moe_num_experts=16,
        moe_k=2,
        moe_filter_size=512,
        image_stem_filters=(16, 32),
        image_filters=(64,),
        class_label_filters=(384, 512),
        audio_filters=(16, 32, 64),
        learning_rate_constant=0.1,
    )


@registry.register_hparams("multimodel_tiny")
def multimodel_tiny() -> MultiModelHParams:
    """Depth 128: learns the eight miniworld tasks in minutes on two CPU cores."""
    return dataclasses.replace(
        multimodel_small(),
        batch_size=512,
        batch_examples=32,
        hidden_size=128,
        dropout=0.0,
        attention_query_residual=True,
        attention_dropout=0.0,
        num_encoder_blocks=2,
        encoder_moe_after=1,
        num_mixer_blocks=1,
        num_decoder_blocks=2,
        decoder_moe_after=1,
        num_heads=4,
        moe_num_experts=8,
        moe_filter_size=256,
        image_stem_filters=(16, 16),
        image_filters=(32,),
        class_label_filters=(192, 256),
        audio_filters=(8, 16),
        audio_time_stride=4,
        learning_rate_constant=1e-3,
        learning_rate_schedule="constant*linear_warmup*linear_decay",
        learning_rate_warmup_steps=200,
    )
