"""Where our Transformer's variables are in the original's."""

_PARTS = {"query": "q", "key": "k", "value": "v", "output": "output_transform"}
_ATTENTIONS = {"self": "self_attention", "source": "encdec_attention"}
_CONVOLUTIONS = {"hidden": "conv1", "output": "conv2"}
_BODY = "transformer/body"


def _table(originals, table):
    """A table of text: `shared`, or `input_emb`, `target_emb` and `softmax`."""
    name = table if table in ("shared", "softmax") else f"{table}_emb"
    (scope,) = {n.split("/")[1] for n in originals.names("/symbol_modality_")}
    return originals.table(f"transformer/{scope}/{name}")


def _norm(originals, scope, which):
    """The norm of a scope, whose name says whether it comes first or last."""
    return originals[
        next(
            name
            for place in ("layer_prepostprocess", "layer_postprocess")
            if (name := f"{_BODY}/{scope}/{place}/layer_norm/layer_norm_{which}")
            in originals
        )
    ]


def _attention(originals, stack, layer, kind, rest):
    scope = f"{_BODY}/{stack}/layer_{layer}/{_ATTENTIONS[kind]}/multihead_attention"
    return originals[f"{scope}/{rest}"]


ROWS = [
    (r"commands", lambda o: o[f"{_BODY}/target_space_embedding/kernel"]),
    (r"symbol_\w+/(shared|input|target|softmax)", _table),
    (r"(encoder|decoder)_norm/(scale|bias)", _norm),
    (
        r"(encoder|decoder)_(\d+)/(self|source)_attention/layer_norm/(scale|bias)",
        lambda o, stack, layer, kind, which: _norm(
            o, f"{stack}/layer_{layer}/{_ATTENTIONS[kind]}", which
        ),
    ),
    (
        r"(encoder|decoder)_(\d+)/feed_forward/layer_norm/(scale|bias)",
        lambda o, stack, layer, which: _norm(o, f"{stack}/layer_{layer}/ffn", which),
    ),
    (
        r"(encoder|decoder)_(\d+)/(self|source)_attention/attention/(\w+)/kernel",
        lambda o, stack, layer, kind, part: _attention(
            o, stack, layer, kind, f"{_PARTS[part]}/kernel"
        ),
    ),
    (
        r"(encoder|decoder)_(\d+)/(self)_attention/attention/relative_(keys|values)",
        lambda o, stack, layer, kind, part: _attention(
            o,
            stack,
            layer,
            kind,
            f"dot_product_attention_relative/relative_positions_{part}/embeddings",
        ),
    ),
    (
        r"(encoder|decoder)_(\d+)/feed_forward/dense_relu_dense/(\w+)/(kernel|bias)",
        lambda o, stack, layer, part, which: o[
            f"{_BODY}/{stack}/layer_{layer}/ffn/{_CONVOLUTIONS[part]}/{which}"
        ],
    ),
]
