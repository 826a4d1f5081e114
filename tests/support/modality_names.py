"""What the original calls the variables of modality nets: tables for `original_names`.

Every function returns rows for one net. `ours` is the beginning of our names, such as
"image_3/" in a whole model or "" where the net stands alone; `theirs` is the original's
scope, such as "image_modality/image_modality".
"""

import re


def _own(pattern, name):
    """Returns a row whose value has a name that is made from the groups of ours."""

    def find(originals, *groups):
        return originals[name.format(*groups)]

    return pattern, find


def image_conv_step(ours, theirs, *, number=0):
    """Rows of one step, convolution `number` of the block with scope `theirs`.

    `theirs` may hold "{0}", "{1}", ... for the groups of the pattern `ours`. Kernels
    are called "single", or "std" where others exist for data of width 1.
    """

    def find(kind):
        def value(originals, *groups):
            scope = re.escape(theirs.format(*groups))
            pattern = rf"^{scope}/conv_block_{number}_(single|std)/{kind}$"
            (name,) = originals.names(pattern)
            return originals[name]

        return value

    norm = f"{theirs}/conv_block_norm_{number}/layer_norm"
    return [
        (rf"{ours}kernel", find("kernel")),
        (rf"{ours}depthwise_kernel", find("depthwise_kernel")),
        (rf"{ours}pointwise/kernel", find("pointwise_kernel")),
        _own(rf"{ours}layer_norm/scale", norm + "_scale"),
        _own(rf"{ours}layer_norm/bias", norm + "_bias"),
    ]


def conv_res(ours, theirs):
    """Rows of a residual block."""
    return [
        *image_conv_step(rf"{ours}conv_0/", f"{theirs}/sep_conv_block", number=0),
        *image_conv_step(rf"{ours}conv_1/", f"{theirs}/sep_conv_block", number=1),
        *image_conv_step(rf"{ours}shortcut/", f"{theirs}/res_conv0"),
    ]


def entry_flow(ours="", theirs="image_modality"):
    """Rows of the net for large images."""
    return [
        *image_conv_step(rf"{ours}stem_0/", f"{theirs}/conv0"),
        *image_conv_step(rf"{ours}stem_1/", f"{theirs}/conv1"),
        *conv_res(rf"{ours}block_(\d)/", f"{theirs}/block{{0}}"),
    ]


def small_image(ours="", theirs="small_image_modality"):
    """Rows of the net for small images."""
    return image_conv_step(rf"{ours}stem/", f"{theirs}/small_image_conv")


def audio(ours="", theirs="audio_modality", *, compression):
    """Rows of either net for sounds, of `compression` blocks and a last one."""
    last = compression
    return [
        *conv_res(rf"{ours}block_(?!{last}/)(\d)/", f"{theirs}/compress_block_{{0}}"),
        *conv_res(rf"{ours}block_{last}/", f"{theirs}/compress_block_final"),
    ]


# Kernels for data of width 1, which the original stores and does not use.
UNUSED_IN_EXIT_FLOW = (r"/conv_block_0_small/",)


def downsampling(ours, theirs="conv_block_downsample"):
    """Rows of the exit flow without its softmax."""
    return [
        *image_conv_step(rf"{ours}shortcut/", f"{theirs}/res_conv"),
        *image_conv_step(rf"{ours}conv_(\d)/", f"{theirs}/conv{{0}}"),
    ]


def exit_flow(ours, theirs, *, classes="conv_single"):
    """Rows of the net for classes; `classes` is "dense" in the second form."""
    return [
        *downsampling(ours, f"{theirs}/conv_block_downsample"),
        _own(rf"{ours}classes/kernel", f"{theirs}/{classes}/kernel"),
        _own(rf"{ours}classes/bias", f"{theirs}/{classes}/bias"),
    ]
