"""Where the first release of MultiModel keeps what our variables hold.

`body_rows` is the table; everything above it says how one part of ours is put together
from pieces of the original.
"""

import numpy as np


def separable(originals, scope, conv, kind):
    """Joins the kernels of a convolution's groups: `part_j/...`, or one without."""
    parts = originals.names(rf"^{scope}(part_\d+/)?{conv}_single/{kind}_kernel$")
    kernels = [originals[part] for part in parts]
    if kind == "depthwise":  # [kernel, 1, channels, 1] each
        return np.concatenate(kernels, axis=2)
    return np.stack(kernels)  # [1, 1, in, out] each


def grouped(originals, scope, conv):
    parts = originals.names(rf"^{scope}part_\d+/{conv}_single/kernel$")
    return np.stack([originals[part] for part in parts])


def experts(originals, scope, layer):
    names = originals.names(rf"^{scope}moe_\d+_layer_{layer}$")
    return np.stack([originals[name] for name in names])


def steps_of_block(step):
    """The first two steps of a block have a scope of their own."""
    return ("residual1", step) if step < 2 else ("residual2", step - 2)


def separabilities(separability, num_steps):
    """The first two steps of a block count up to `separability`, and so do the others.

    -2 with four steps is (-3, -2, -3, -2).
    """
    if separability == 0:
        return (0,) * num_steps
    return tuple(
        separability - left
        for steps in (2, num_steps - 2)
        for left in reversed(range(steps))
    )


def multi_head_rows(ours, theirs, *, joined):
    """Rows of attention whose projections the original joins: "qkv", or q and "kv"."""

    def projection(originals, part, kind):
        if part == "output":
            return originals[f"{theirs}output_transform_single/{kind}"]
        if part[0] not in joined:
            return originals[f"{theirs}{part[0]}_transform_single/{kind}"]
        whole = originals[f"{theirs}{joined}_transform_single/{kind}"]
        parts = np.split(whole, len(joined), axis=-1)
        return parts[joined.index(part[0])]

    return [(rf"{ours}(query|key|value|output)/(kernel|bias)", projection)]


def conv_rows(ours, theirs, conv):
    """Rows of one convolution; `ours` and `theirs` are prefixes that end in "/"."""
    return [
        (
            rf"{ours}separable/(depthwise|pointwise)_kernel",
            lambda o, kind: separable(o, theirs, conv, kind),
        ),
        (rf"{ours}grouped/kernel", lambda o: grouped(o, theirs, conv)),
        (rf"{ours}grouped/mix/(kernel|bias)", lambda o, k: o[f"{theirs}conv2d/{k}"]),
    ]


def step_rows(ours, theirs, conv):
    """Rows of one ConvStep: `conv_rows` and a norm."""
    norm = conv.replace("conv_block", "conv_block_norm")
    return [
        *conv_rows(ours, theirs, conv),
        (
            rf"{ours}layer_norm/(scale|bias)",
            lambda o, kind: o[f"{theirs}{norm}/layer_norm_{kind}"],
        ),
    ]


def conv_block_rows(ours, theirs):
    """Rows of a block of convolutions.

    Args:
      ours: pattern of the block's name, whose groups are given to `theirs`.
      theirs: function of the groups that returns the scope of the original.
    """

    def scope_and_step(*groups):
        *block, step = groups
        residual, number = steps_of_block(step)
        return f"{theirs(*block)}/{residual}", number

    def kernel(originals, *groups):
        *block_and_step, kind = groups
        scope, number = scope_and_step(*block_and_step)
        return separable(originals, f"{scope}/", f"conv_block_{number}", kind)

    def norm(originals, *groups):
        *block_and_step, kind = groups
        scope, number = scope_and_step(*block_and_step)
        return originals[f"{scope}/conv_block_norm_{number}/layer_norm_{kind}"]

    return [
        (rf"{ours}/conv_(\d+)/separable/(depthwise|pointwise)_kernel", kernel),
        (rf"{ours}/conv_(\d+)/layer_norm/(scale|bias)", norm),
    ]


def attention_rows(ours, theirs):
    """Rows of an attention block of type "simple"; arguments as `conv_block_rows`."""

    def kernel(originals, *groups):
        *block, step, kind = groups
        scope = f"{theirs(*block)}targets_time/"
        return separable(originals, scope, f"conv_block_{step}", kind)

    def premix_norm(originals, *groups):
        *block, step, kind = groups
        scope = f"{theirs(*block)}targets_time/conv_block_norm_{step}"
        return originals[f"{scope}/layer_norm_{kind}"]

    def norm(originals, *groups):
        *block, kind = groups
        return originals[f"{theirs(*block)}attn_norm/layer_norm_{kind}"]

    return [
        (rf"{ours}/premix_(\d)/separable/(depthwise|pointwise)_kernel", kernel),
        (rf"{ours}/premix_(\d)/layer_norm/(scale|bias)", premix_norm),
        (rf"{ours}/layer_norm/(scale|bias)", norm),
    ]


def expert_rows(ours, theirs):
    """Rows of LN(x + experts(x)); `theirs` is a prefix that ends in "/"."""
    inside = rf"{ours}/feed_forward/experts"
    gating = f"{theirs}moe_primary_gating"
    return [
        (rf"{inside}/gate/kernel", lambda o: o[f"{gating}_gate"]),
        (rf"{inside}/gate/noise", lambda o: o[f"{gating}_noise"]),
        (rf"{inside}/kernel_(\d)", lambda o, n: experts(o, theirs, n)),
        (
            rf"{ours}/layer_norm/(scale|bias)",
            lambda o, kind: o[f"{theirs}moe_norm/layer_norm_{kind}"],
        ),
    ]


def symbol_rows(hidden_size):
    """Rows of text tables; ours are called symbol_v<size>_<size>."""

    def table(originals, size, use):
        name = {"input": "input_emb", "target": "target_emb"}.get(use, use)
        return originals.table(f"symbol_modality_{size}_{hidden_size}/{name}")

    return [(r"symbol_v(\d+)_\d+/(input|target|softmax|shared)", table)]


def body_rows(*, encoder_moe_after, decoder_moe_after):
    """The body: encoder, mixer, decoder, in the order of the computation."""

    def encoder(i):
        after = i - encoder_moe_after
        return (
            f"body/encoder1/layer_{i}" if after < 0 else f"body/encoder2/layer_{after}"
        )

    def decoder(i):
        after = i - decoder_moe_after
        return (
            f"body/decoder1/layer_{i}" if after < 0 else f"body/decoder2/layer_{after}"
        )

    return [
        (r"commands", lambda o: o["body/target_space_embedding/kernel"]),
        *conv_block_rows(r"encoder_(\d+)", encoder),
        *expert_rows("encoder_experts", "body/experts_enc/"),
        *attention_rows("mixer_attention", lambda: "body/"),
        *step_rows("mixer_merge/", "body/targets_merge/", "conv_block_0"),
        *conv_block_rows(r"decoder_(\d+)/conv", decoder),
        *attention_rows(r"decoder_(\d+)/attention", lambda i: f"{decoder(i)}/"),
        *expert_rows("decoder_experts", "body/experts_dec/"),
    ]
