"""Experiments with one switch each: what of MultiModel does the work?

Those called `multimodel_tiny_*` differ from `multimodel_tiny` in what their name says.
"""

import dataclasses

from t2t_mm import registry
from t2t_mm.hparams import multimodel
from t2t_mm.models.multimodel_hparams import MultiModelHParams


@registry.register_hparams("multimodel_paper_literal")
def multimodel_paper_literal() -> MultiModelHParams:
    """The paper's equations to the letter, where that differs from its own code.

    The printed equation of a block has no second skip, timing is added before attention
    only, what mixes the target before attention are whole blocks, and the nets for
    images and sounds are separable throughout, with a ReLU before every convolution.
    """
    return dataclasses.replace(
        multimodel.multimodel_paper(),
        second_skip="none",
        timing_on_encoder=False,
        attention_premix="conv_block",
        image_stem_separable=True,
        image_stem_relu=True,
        audio_shortcut_separable=True,
        audio_shortcut_relu=True,
    )


@registry.register_hparams("multimodel_tiny_no_attention")
def multimodel_tiny_no_attention() -> MultiModelHParams:
    """The decoder sees the mean of the source, as in the ablation of the paper."""
    return dataclasses.replace(multimodel.multimodel_tiny(), attention_type="none")


@registry.register_hparams("multimodel_tiny_simple_attention")
def multimodel_tiny_simple_attention() -> MultiModelHParams:
    """The attention of the released code: one head, no projections."""
    return dataclasses.replace(multimodel.multimodel_tiny(), attention_type="simple")


@registry.register_hparams("multimodel_tiny_post_norm")
def multimodel_tiny_post_norm() -> MultiModelHParams:
    """One way around attention instead of two, with the norm after it."""
    return dataclasses.replace(multimodel.multimodel_tiny(), norm_position="post")


@registry.register_hparams("multimodel_tiny_dense")
def multimodel_tiny_dense() -> MultiModelHParams:
    """No experts: one net for all positions at the same active cost."""
    return dataclasses.replace(multimodel.multimodel_tiny(), feed_forward="dense")


@registry.register_hparams("multimodel_tiny_classes_by_decoder")
def multimodel_tiny_classes_by_decoder() -> MultiModelHParams:
    """Classes go through mixer and decoder, as all other targets."""
    return dataclasses.replace(
        multimodel.multimodel_tiny(), categorical_via_decoder=True
    )


@registry.register_hparams("multimodel_tiny_switch")
def multimodel_tiny_switch() -> MultiModelHParams:
    """One expert per position, by probability (Fedus et al. 2021)."""
    return dataclasses.replace(
        multimodel.multimodel_tiny(),
        moe_k=1,
        moe_router="softmax",
        moe_balance="switch",
        moe_capacity_factor=1.25,
    )


@registry.register_hparams("multimodel_tiny_bias_balance")
def multimodel_tiny_bias_balance() -> MultiModelHParams:
    """Balance by a bias in the choice instead of a loss, and no position dropped."""
    return dataclasses.replace(
        multimodel.multimodel_tiny(),
        moe_router="softmax",
        moe_balance="bias",
        moe_capacity_factor=0.0,
    )


@registry.register_hparams("multimodel_tiny_unbalanced")
def multimodel_tiny_unbalanced() -> MultiModelHParams:
    """Nothing keeps the experts in balance."""
    return dataclasses.replace(multimodel.multimodel_tiny(), moe_balance="none")


@registry.register_hparams("multimodel_tiny_patches")
def multimodel_tiny_patches() -> MultiModelHParams:
    """Images are patches of 8x8 pixels (Dosovitskiy et al. 2021)."""
    return dataclasses.replace(
        multimodel.multimodel_tiny(), image_net="patch", image_patch_size=8
    )


@registry.register_hparams("multimodel_tiny_plain_nets")
def multimodel_tiny_plain_nets() -> MultiModelHParams:
    """As little as there can be before and after the body: does it do the work?

    One convolution reads images, the mean of all positions gives classes.
    """
    return dataclasses.replace(
        multimodel.multimodel_tiny(),
        image_net="small",
        image_stem_stride=4,
        class_label_net="mean",
    )
