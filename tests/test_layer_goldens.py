"""Single layers against the first release; experts and modality nets have their own."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import goldens
import multimodel_names as names
import original_names
import tiny_models
from t2t_mm import modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import attention, conv, core, timing
from t2t_mm.modality import Embedded
from t2t_mm.models import multimodel_attention, multimodel_blocks


def _sequence(array):
    """`[batch, length, 1, channels]` without the axis of 1."""
    return tf.constant(array[:, :, 0])


def _cases(bundle, *titles, **wanted):
    """Cases of a bundle whose titles start like one of `titles`."""
    if not titles:
        return goldens.numbers_of_cases(bundle, **wanted)
    every = goldens.cases(bundle)
    return [c["case"] for c in every if c["title"].startswith(titles)] or [0]


# Normalisation, shift, padding.


@pytest.mark.parametrize("number", _cases("layer_layer_norm"))
def test_layer_norm(number):
    case = goldens.case("layer_layer_norm", number)
    x = tf.constant(case["in:x"])
    layer = core.LayerNorm(x.shape[-1])
    for variable in layer.variables:
        kind = variable.name.partition("/")[2].partition(":")[0]
        (value,) = [v for n, v in case.variables.items() if n.endswith(kind)]
        variable.assign(value)

    case.compare("out:y", layer(x))


@pytest.mark.parametrize("number", _cases("layer_shift_and_padding", "shift"))
def test_shift_right(number):
    case = goldens.case("layer_shift_and_padding", number)
    x = case["in:x"][:, :, 0]
    first = case["in:first"][:, 0, 0] if "in:first" in case else np.zeros_like(x[:, 0])

    rows = [  # ours has one first vector for the whole batch
        core.shift_right(tf.constant(x[i : i + 1]), tf.constant(first[i]))
        for i in range(len(x))
    ]

    case.compare("out:y", tf.concat(rows, 0))


@pytest.mark.parametrize("number", _cases("layer_shift_and_padding", "grid"))
def test_grids_are_flattened_row_by_row(number):
    case = goldens.case("layer_shift_and_padding", number)
    x = case["in:x"]

    case.compare("out:y", tf.reshape(x, [len(x), -1, x.shape[-1]]))


# Timing.


@pytest.mark.parametrize("number", _cases("layer_timing_signal", "table only"))
def test_the_timing_signal_of_32_channels(number):
    case = goldens.case("layer_timing_signal", number)

    case.compare("out:signal", timing.timing_signal(tf.range(case["in:length"]), 32))


@pytest.mark.parametrize("number", _cases("layer_timing_signal", "added to", "full"))
def test_the_timing_signal_added(number):
    case = goldens.case("layer_timing_signal", number)
    x = case["in:x"]
    channels = 0 if x.ndim == 3 else 32

    flat = tf.constant(x.reshape(len(x), x.shape[1], -1))

    case.compare("out:y", timing.add_timing_signal(flat, channels=channels))


# Text.


@pytest.mark.parametrize("number", _cases("layer_symbol_modality"))
def test_text_tables_and_loss(number):
    case = goldens.case("layer_symbol_modality", number)
    size, hidden_size = case.entry["vocab"], case["in:body"].shape[-1]
    spec = FeatureSpec(
        modality="symbol", vocab_size=size, vocabulary=f"v{size}", shape=(None,)
    )
    hparams = tiny_models.make_hparams(
        hidden_size=hidden_size,
        shared_embedding_and_softmax_weights=case.entry["shared"],
    )
    symbol = registry.MODALITIES.get("symbol")(
        spec, hparams, ["inputs", "targets"], name="symbol"
    )
    scopes = {"input": "input_emb", "target": "target_emb"}
    row = (r"(\w+)", lambda o, use: o.table(scopes.get(use, use)))
    original_names.assign(symbol, case.variables, [row])
    inputs, targets = (case[f"in:{role}"][:, :, 0, 0] for role in ("inputs", "targets"))
    scale = 1.0 if case.entry["multiply"] == "sqrt_depth" else hidden_size**-0.5

    embedded = symbol.bottom(
        tf.constant(inputs), tf.fill([len(inputs)], inputs.shape[1])
    )
    real = inputs != 0  # the original hides every 0, wherever it is
    case.compare(
        "out:inputs_embedded",
        embedded.values * scale,
        mask=real[:, :, None],
    )
    embedded_targets = symbol.targets_bottom(tf.constant(targets)) * scale
    case.compare("out:targets_embedded", embedded_targets)
    body = _sequence(case["in:body"])
    logits = symbol.top(Embedded(body, tf.ones(body.shape[:2], tf.bool)))
    case.compare("out:logits", logits)
    loss = modality.smoothed_cross_entropy(
        logits,
        tf.constant(targets),
        tf.constant(targets != 0),
        case.entry["label_smoothing"],
    )
    case.compare("out:xent_numerator", loss.total)
    case.compare("out:xent_denominator", loss.weight)


@pytest.mark.parametrize(
    "number", _cases("layer_cross_entropy", "smoothing", "logits longer")
)
def test_cross_entropy(number):
    case = goldens.case("layer_cross_entropy", number)
    logits = tf.constant(case["in:logits"][:, :, 0, 0])
    labels = case["in:labels"][:, :, 0, 0]
    labels = np.pad(labels, [(0, 0), (0, logits.shape[1] - labels.shape[1])])
    loss_of = functools.partial(
        modality.smoothed_cross_entropy, logits, tf.constant(labels)
    )
    smoothing = case.entry["label_smoothing"]

    loss = loss_of(tf.constant(labels != 0), smoothing)

    case.compare("out:numerator", loss.total)
    case.compare("out:denominator", loss.weight)
    if "out:numerator_all_weights" in case:
        everywhere = loss_of(tf.ones(labels.shape, tf.bool), smoothing)
        case.compare("out:numerator_all_weights", everywhere.total)
        case.compare("out:denominator_all_weights", everywhere.weight)


# Convolutions.


@pytest.mark.parametrize(
    "number",
    [c["case"] for c in goldens.cases("layer_subseparable_conv") if c["kernel"][1] == 1]
    or [0],
)
def test_separable_and_grouped_convolutions(number):
    case = goldens.case("layer_subseparable_conv", number)
    separability, x = case.entry["separability"], _sequence(case["in:x"])
    sizes = dict(
        input_size=x.shape[2],
        output_size=case.entry["filters"],
        kernel_size=case.entry["kernel"][0],
    )
    if separability > 0:
        layer = conv.GroupedConv(**sizes, groups=separability)
    else:
        layer = conv.SeparableConv(
            **sizes,
            dilation_rate=case.entry["dilation"][0],
            causal=case.entry["padding"] == "LEFT",
            groups=max(1, -separability),
        )
    rows = [
        (pattern.partition("/")[2], find)
        for pattern, find in names.conv_rows("", "", "conv")
    ]
    original_names.assign(layer, case.variables, rows)

    case.compare("out:y", layer(x))


@pytest.mark.parametrize(
    "number",
    [c["case"] for c in goldens.cases("layer_conv_block") if "separabilities" in c]
    or [0],
)
def test_convolution_steps(number):
    case = goldens.case("layer_conv_block", number)
    x, entry = _sequence(case["in:x"]), case.entry
    mask = tf.constant(case["in:mask"][:, :, 0, 0] > 0) if "in:mask" in case else None
    dilations = entry.get("dilations", [[1, 1]] * len(entry["kernels"]))

    for i, (kernel, separability) in enumerate(
        zip(entry["kernels"], entry["separabilities"], strict=True)
    ):
        step = conv.ConvStep(
            x.shape[2],
            entry["filters"],
            kernel_size=kernel[0],
            dilation_rate=dilations[i][0],
            causal=entry["padding"] == "LEFT",
            separability=separability,
            name="step",
        )
        rows = names.step_rows("", "blk/", f"conv_block_{i}")
        of_step = {
            name: value
            for name, value in case.variables.items()
            if "conv2d" in name or f"_{i}_" in name or f"norm_{i}/" in name
        }
        original_names.assign(step, of_step, rows)
        if entry.get("use_elu"):  # of ours, only convolution and norm
            x = step.layer_norm(step.conv(tf.nn.elu(x)))
        elif i == 0 and not entry.get("first_relu", True):
            x = step.layer_norm(step.conv(core.apply_mask(x, mask)))
        else:
            x = step(x, mask)

    case.compare("out:y", x)


def _numbers(scheme):
    return tuple(int(number) for number in scheme.split("."))


FALLBACK = dict(kernel_sizes=(3, 3, 15, 15), dilation_rates=(1, 1, 1, 4))


def _stack_hparams(entry, hidden_size):
    """Sizes of a stack; a scheme that the original does not know has a fall-back."""
    sizes = FALLBACK
    if entry["kernel_scheme"] != "none":
        sizes = dict(
            kernel_sizes=_numbers(entry["kernel_scheme"]),
            dilation_rates=_numbers(entry["dilation_scheme"]),
        )
    return tiny_models.make_hparams(
        **sizes,
        hidden_size=hidden_size,
        num_heads=1,
        separabilities=names.separabilities(
            entry["separability"], len(sizes["kernel_sizes"])
        ),
        second_skip="hidden2",
        attention_type="simple",
        timing_channels=32,
    )


@pytest.mark.parametrize("number", _cases("layer_conv_stack"))
def test_stacks_of_blocks(number):
    case = goldens.case("layer_conv_stack", number)
    x, hparams = (
        _sequence(case["in:x"]),
        _stack_hparams(case.entry, case["in:x"].shape[-1]),
    )
    causal, mask = (
        case.entry["padding"] == "LEFT",
        tf.constant(case["in:mask"][:, :, 0, 0] > 0),
    )
    source = None
    if "in:source" in case:
        source = multimodel_attention.Source(_sequence(case["in:source"]), mask)
    for i in range(case.entry["layers"]):
        scope = f"stack/layer_{i}"
        of_layer = {n: v for n, v in case.variables.items() if n.startswith(scope)}
        if source is None:
            layer = multimodel_blocks.ConvBlock(hparams, causal=causal, name="layer")
            rows = names.conv_block_rows("", lambda scope=scope: scope)
            rows = [(pattern.removeprefix("/"), find) for pattern, find in rows]
            original_names.assign(layer, of_layer, rows)
            x = layer(x, None if causal else mask, None)
            x = x if causal else core.apply_mask(x, mask)
        else:
            layer = multimodel_attention.DecoderLayer(hparams, name="layer")
            rows = names.conv_block_rows("conv", lambda scope=scope: scope)
            rows += names.attention_rows("attention", lambda scope=scope: f"{scope}/")
            original_names.assign(layer, of_layer, rows)
            x = layer(x, source, None)

    case.compare("out:y", x)


# Attention.


def _source(case):
    values = case["in:source"]
    bias = case.arrays.get("in:bias", np.zeros([*values.shape[:2], 1, 1]))
    source = values.reshape(len(values), -1, values.shape[-1])
    return multimodel_attention.Source(
        tf.constant(source), tf.constant(bias[:, :, 0, 0] == 0)
    )


@pytest.mark.parametrize("number", _cases("layer_attention", "bare simple"))
def test_attention_with_one_head_and_nothing_learned(number):
    case = goldens.case("layer_attention", number)
    attend = multimodel_attention.SimpleAttention()

    case.compare("out:y", attend(_sequence(case["in:target"]), _source(case), None))


@pytest.mark.parametrize("number", _cases("layer_attention", "whole simple"))
def test_the_attention_block_of_the_release(number):
    case = goldens.case("layer_attention", number)
    hparams = tiny_models.make_hparams(
        hidden_size=case["in:target"].shape[-1],
        num_heads=1,
        separabilities=names.separabilities(case.entry["separability"], 4),
        attention_type="simple",
        timing_channels=32,
    )
    block = multimodel_attention.AttentionBlock(hparams, name="attention")
    rows = names.attention_rows("", lambda: "")
    rows = [(pattern.removeprefix("/"), find) for pattern, find in rows]
    original_names.assign(block, case.variables, rows)

    case.compare("out:y", block(_sequence(case["in:target"]), _source(case), None))


def _multi_head(case, scope, *, kind):
    """Our layer with the original's joined projections cut into ours."""
    layer = attention.MultiHeadAttention(
        case.variables[f"{scope}/output_transform_single/bias"].size,
        case.entry["num_heads"],
        use_bias=True,
        name="attention",
    )
    rows = names.multi_head_rows("", f"{scope}/", joined=kind)
    of_layer = {n: v for n, v in case.variables.items() if n.startswith(f"{scope}/")}
    original_names.assign(layer, of_layer, rows)
    return layer


@pytest.mark.parametrize("number", _cases("layer_attention", "multi-head self"))
def test_multi_head_self_attention(number):
    case = goldens.case("layer_attention", number)
    layer, x = _multi_head(case, "att", kind="qkv"), tf.constant(case["in:x"])

    y = layer(x, layer.project(x), attention.causal_bias(x.shape[1]))

    case.compare("out:y", y)


@pytest.mark.parametrize("number", _cases("layer_attention", "multi-head attention to"))
def test_multi_head_attention_to_a_memory(number):
    case = goldens.case("layer_attention", number)
    layer, x = _multi_head(case, "att", kind="kv"), tf.constant(case["in:x"])
    mask = tf.constant(case["in:padding"] == 0)

    memory = layer.project(tf.constant(case["in:memory"]))

    case.compare("out:y", layer(x, memory, attention.padding_bias(mask)))


@pytest.mark.parametrize("number", _cases("layer_attention", "attention_type trans"))
def test_the_unused_multi_head_form_of_the_release(number):
    case = goldens.case("layer_attention", number)
    x, source = _sequence(case["in:target"]), _source(case)
    own = _multi_head(case, "self_attention", kind="qkv")
    to_source = _multi_head(case, "encdec_attention", kind="kv")
    x = timing.add_timing_signal(x, channels=32)
    for i, dilation_rate in enumerate((1, 4)):
        step = conv.ConvStep(
            x.shape[2],
            x.shape[2],
            kernel_size=5,
            dilation_rate=dilation_rate,
            causal=True,
            separability=names.separabilities(-2, 4)[i],
            name="step",
        )
        of_step = {
            n: v
            for n, v in case.variables.items()
            if "targets_time" in n and (f"_{i}_" in n or f"norm_{i}/" in n)
        }
        rows = names.step_rows("", "targets_time/", f"conv_block_{i}")
        original_names.assign(step, of_step, rows)
        x = step(x)

    attended = own(x, own.project(x), attention.causal_bias(x.shape[1]))
    y = to_source(attended, to_source.project(source.values), tf.zeros([1, 1, 1, 1]))

    case.compare("out:y", y)


# Experts.


@pytest.mark.parametrize("number", _cases("layer_moe", "the model's expert layer"))
def test_the_expert_block(number):
    case = goldens.case("layer_moe", number)
    x = _sequence(case["in:x"])
    hparams = tiny_models.make_hparams(
        hidden_size=x.shape[2],
        num_heads=1,
        moe_num_experts=case.entry["num_experts"],
        moe_k=case.entry["k"],
        moe_filter_size=x.shape[2],
        moe_loss_coef=1.0,
        moe_route_padding=True,
    )
    block = multimodel_blocks.ExpertBlock(hparams, name="experts")
    rows = names.expert_rows("", "")
    rows = [(pattern.removeprefix("/"), find) for pattern, find in rows]
    original_names.assign(block, case.variables, rows)

    output = block(x, tf.ones(x.shape[:2], tf.bool), tf.constant(0), None)

    case.compare("out:y", output.values)
    case.compare("out:loss_without_coefficient", output.balance_loss)
