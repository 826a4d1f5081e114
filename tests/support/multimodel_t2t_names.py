"""Where Tensor2Tensor's later MultiModel keeps what our variables hold."""

import re

import numpy as np

import modality_names
import multimodel_names


def without_parallel(variables):
    """Leaves out the path elements that count parallel calls, apart from experts."""
    return {
        re.sub(r"(?<!moe)/parallel_0(?=/)", "", name): value
        for name, value in variables.items()
    }


def norm_rows(ours, theirs):
    """Rows of a norm; `theirs` is a prefix with "{0}" for the layer, as below."""

    def norm(originals, layer, kind):
        return originals[f"{theirs.format(layer)}layer_norm/layer_norm_{kind}"]

    return [(rf"{ours}layer_norm/(scale|bias)", norm)]


def expert_rows(ours, theirs):
    """Rows of experts; their scopes are called parallel_<number>."""

    def gate(originals, layer, kind):
        scope = f"{theirs.format(layer)}moe/parallel_0/noisy_top_k_gating"
        return originals[f"{scope}/w_{'gate' if kind == 'kernel' else kind}"]

    def experts(originals, layer, number):
        scope = f"{theirs.format(layer)}moe"
        names = originals.names(rf"^{scope}/parallel_\d+/w_{number}$")
        return np.stack([originals[name] for name in names])

    return [
        (rf"{ours}feed_forward/experts/gate/(kernel|noise)", gate),
        (rf"{ours}feed_forward/experts/kernel_(\d)", experts),
    ]


def dense_rows(ours, theirs):
    """Rows of a net without experts."""

    def dense(originals, layer, part, kind):
        number = {"hidden": 1, "output": 2}[part]
        scope = f"{theirs.format(layer)}conv_hidden_relu/conv{number}_single"
        return originals[f"{scope}/{kind}"]

    return [(rf"{ours}dense_relu_dense/(hidden|output)/(kernel|bias)", dense)]


def attention_rows(layer):
    """Rows of both attentions of a decoder layer, whose projections are joined."""
    ours = f"decoder_{layer}/attention"
    theirs = f"body/dec_layer_{layer}/attention"
    return [
        *multimodel_names.multi_head_rows(
            f"{ours}/self_attention/", f"{theirs}/decoder_self_attention/", joined="qkv"
        ),
        *multimodel_names.multi_head_rows(
            f"{ours}/source_attention/", f"{theirs}/encdec_attention/", joined="kv"
        ),
    ]


def body_rows(num_hidden_layers):
    """The body: commands, encoder, decoder."""
    encoder, decoder = r"encoder_(\d+)/", r"decoder_(\d+)/"
    rows = [
        (r"commands", lambda o: o["body/target_space_embedding/kernel"]),
        *multimodel_names.conv_block_rows(
            rf"{encoder}conv", "body/enc_layer_{0}/conv_res_step".format
        ),
        *expert_rows(encoder, "body/enc_layer_{0}/"),
        *norm_rows(encoder, "body/enc_layer_{0}/"),
        *norm_rows(rf"{decoder}attention/", "body/dec_layer_{0}/attention/"),
        *expert_rows(decoder, "body/dec_layer_{0}/ffn/"),
        *dense_rows(decoder, "body/dec_layer_{0}/ffn/"),
        *norm_rows(decoder, "body/dec_layer_{0}/ffn/"),
    ]
    return rows + [row for i in range(num_hidden_layers) for row in attention_rows(i)]


def modality_rows(hidden_size, num_classes):
    """Text, images and classes, each under the names of our modalities."""
    label = f"class_label_modality_{num_classes}_{hidden_size}"
    return [
        *multimodel_names.symbol_rows(hidden_size),
        *modality_names.entry_flow("image_3/", "image_modality/image_modality"),
        *modality_names.exit_flow(
            rf"class_label_things_{num_classes}/", f"{label}/{label}", classes="dense"
        ),
    ]
