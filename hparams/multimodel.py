"""Named hparams sets of `multimodel`."""

import dataclasses

from t2t_mm import registry
from t2t_mm.models.multimodel_hparams import MultiModelHParams


@registry.register_hparams("multimodel_paper")
def multimodel_paper() -> MultiModelHParams:
    """The paper's joint model: 1.15 billion parameters, 240 experts in each mixture.

    Where the paper is silent, the code that was released with it decides. Optimizer
    and batch are the release's too, the learning rate its effective one.
    """
    return MultiModelHParams(
        batch_size=1024,
        moe_capacity_factor=0.0,
        optimizer_adam_beta1=0.85,
        optimizer_adam_beta2=0.997,
        optimizer_adam_epsilon=1e-6,
        learning_rate_schedule="constant*linear_warmup",
        learning_rate_constant=1e-4,
        learning_rate_warmup_steps=3000,
        clip_grad_norm=2.0,
    )


@registry.register_hparams("multimodel_paper_single")
def multimodel_paper_single() -> MultiModelHParams:
    """The paper's model for one task alone: 60 experts in each mixture."""
    return dataclasses.replace(multimodel_paper(), moe_num_experts=60)


@registry.register_hparams("multimodel_1p8")
def multimodel_1p8() -> MultiModelHParams:
    """The code that was released with the paper, its set `multimodel_1p8`.

    What differs: padding reaches no expert, class 0 counts, non-square images keep
    their shape, sounds are lengthened to whole positions, weights do not decay, the
    initial values are Glorot's and the learning rate warms up linearly and stays.
    """
    return dataclasses.replace(
        multimodel_paper(),
        hidden_size=1536,
        dropout=0.1,
        dropout_position="stack",
        kernel_sizes=(3, 7, 15, 31),
        dilation_rates=(1, 1, 1, 1),
        separabilities=(-3, -2, -3, -2),
        second_skip="hidden2",
        timing_channels=32,
        encoder_moe_after=2,
        num_mixer_blocks=0,
        mixer_merge_separability=4,
        attention_type="simple",
        moe_num_experts=120,
        moe_k=2,
        moe_filter_size=1536,
        class_label_net="release",
        class_label_filters=(1920, 3072, 3840),
    )


@registry.register_hparams("multimodel_base")
def multimodel_base() -> MultiModelHParams:
    """The paper's form at half its depth: for one accelerator."""
    return MultiModelHParams(
        hidden_size=512,
        dropout=0.1,
        moe_num_experts=32,
        moe_filter_size=512,
        class_label_filters=(512, 768, 1024),
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
        class_label_filters=(256, 384, 512),
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
        class_label_filters=(128, 192, 256),
        audio_filters=(8, 16),
        audio_time_stride=4,
        learning_rate_constant=1e-3,
        learning_rate_schedule="constant*linear_warmup*linear_decay",
        learning_rate_warmup_steps=200,
    )


@registry.register_hparams("multimodel_tiny_speech")
def multimodel_tiny_speech() -> MultiModelHParams:
    """`multimodel_tiny` for one or two hours of speech, which it learns by heart.

    So spectrograms are warped and masked anew at every step (Park et al. 2019; Jaitly
    and Hinton 2013), and units are dropped. The nets for sound are twice as wide.
    Batches are of 2,048 frames, about 40 seconds.
    """
    return dataclasses.replace(
        multimodel_tiny(),
        batch_size=2048,
        max_input_length=400,
        max_target_length=80,
        dropout=0.1,
        attention_dropout=0.1,
        audio_filters=(16, 32),
        augment_audio_time_warp=0.15,
        augment_audio_frequency_warp=0.1,
        augment_audio_time_masks=2,
        augment_audio_time_mask_share=0.1,
        augment_audio_frequency_masks=2,
        augment_audio_frequency_mask_bins=8,
    )


@registry.register_hparams("multimodel_modern")
def multimodel_modern() -> MultiModelHParams:
    """What later work found better, at the size of `multimodel_base`.

    Two experts of many by their probability, without noise (Lepikhin et al. 2020); the
    gate sees the command (Zhu et al. 2022) and is kept small (Zoph et al. 2022); one
    expert for all positions (Dai et al. 2024); SwiGLU (Shazeer 2020); norms before
    attention and experts; tasks drawn by the root of their size (Raffel et al. 2020).
    """
    return dataclasses.replace(
        multimodel_base(),
        mixing="temperature:2",
        norm_position="pre",
        attention_query_residual=True,
        moe_k=2,
        moe_activation="swiglu",
        moe_num_shared_experts=1,
        moe_router="softmax",
        moe_router_input="token+task",
        moe_balance="switch",
        moe_router_z_loss=1e-3,
        moe_capacity_factor=1.25,
    )
