"""Models, problems and batches as small as they can be with all their parts."""

import dataclasses

import numpy as np
import tensorflow as tf

from t2t_mm import registry
from t2t_mm.features import FeatureSpec, SpaceId

registry.import_registrations()
registry.import_models()

# Every size differs from the others, so that swapped axes do not fit.
SIZES = dict(
    hidden_size=12,
    num_heads=3,
    kernel_sizes=(3, 3, 5, 5),
    dilation_rates=(1, 1, 1, 2),
    num_encoder_blocks=2,
    encoder_moe_after=1,
    num_decoder_blocks=2,
    decoder_moe_after=1,
    num_hidden_layers=2,
    filter_size=14,
    large_kernel_size=13,  # with 5, bfloat16 turns a near tie between experts
    moe_num_experts=5,
    moe_filter_size=7,
    image_stem_filters=(4, 6),
    image_stem_stride=2,
    image_filters=(8,),
    audio_filters=(3, 5),
    audio_time_stride=4,
    class_label_filters=(8, 9, 10),
)

# Sizes that say what a set is: smaller, but never larger than in the set.
MOST = dict(
    num_mixer_blocks=1,
    moe_k=2,
    relative_attention_window=2,
    timing_channels=4,
)

TEXT_VOCAB_SIZE = 19
TEXT = FeatureSpec(
    modality="symbol",
    vocab_size=TEXT_VOCAB_SIZE,
    vocabulary="words",
    space_id=SpaceId.EN_TOK,
)
IMAGE = FeatureSpec(
    modality="image", shape=(16, 24, 3), dtype="uint8", space_id=SpaceId.IMAGE
)
AUDIO = FeatureSpec(
    modality="audio_spectral",
    shape=(None, 6, 1),
    dtype="float32",
    space_id=SpaceId.AUDIO_SPECTRAL,
)
WAVEFORM = FeatureSpec(
    modality="audio", shape=(None, 2, 1), dtype="uint8", space_id=SpaceId.AUDIO_WAV
)
LABEL = FeatureSpec(
    modality="class_label",
    vocab_size=11,
    vocabulary="animals",
    shape=(1,),
    space_id=SpaceId.IMAGE_LABEL,
)

PROBLEMS = {
    "text_to_text": {"inputs": TEXT, "targets": TEXT},
    "image_to_text": {"inputs": IMAGE, "targets": TEXT},
    "audio_to_text": {"inputs": AUDIO, "targets": TEXT},
    "image_to_class": {"inputs": IMAGE, "targets": LABEL},
    "text_to_class": {"inputs": TEXT, "targets": LABEL},
    "audio_to_class": {"inputs": AUDIO, "targets": LABEL},
    "waveform_to_class": {"inputs": WAVEFORM, "targets": LABEL},
    "text_alone": {"targets": TEXT},
}
TO_TEXT = ("text_to_text", "image_to_text", "audio_to_text", "text_alone")


def make_hparams(hparams_set="multimodel_tiny", **changes):
    """Returns a registered set, smaller, with all its switches and with `changes`."""
    hparams = registry.HPARAMS.get(hparams_set)()
    sizes = {
        field.name: SIZES[field.name]
        for field in dataclasses.fields(hparams)
        if field.name in SIZES
    }
    for name, most in MOST.items():
        if hasattr(hparams, name):
            sizes[name] = min(getattr(hparams, name), most)
    if hasattr(hparams, "moe_layers"):
        last = SIZES["num_hidden_layers"] - 1
        sizes["moe_layers"] = tuple(sorted({min(i, last) for i in hparams.moe_layers}))
    return dataclasses.replace(hparams, **sizes | changes)


def model_of(hparams):
    """Returns the name of the model that takes the hparams."""
    (name,) = [
        name
        for name in registry.MODELS.names()
        if registry.MODELS.get(name).hparams_cls is type(hparams)
    ]
    return name


def make_model(hparams_set="multimodel_tiny", problems=PROBLEMS, *, seed=3, **changes):
    """Returns a model with initial values."""
    hparams = make_hparams(hparams_set, **changes)
    name = model_of(hparams)
    return registry.MODELS.get(name)(hparams, problems, seed=seed, name=name)


# What a model does not read: sets that differ in these alone are one to the tests.
OF_TRAINING = (
    "mixing",
    "problem",
    "batch",
    "max_",
    "learning_rate",
    "optimizer",
    "clip_grad",
    "ema_",
    "augment_",
    "remat",
)


def sets_of_different_models():
    """Returns the registered sets that differ as models, apart from their size."""
    seen = {}
    for name in registry.HPARAMS.names():
        hparams = make_hparams(name, dropout=0.2, weight_decay=0.0)
        key = (
            type(hparams),
            *(
                getattr(hparams, field.name)
                for field in dataclasses.fields(hparams)
                if not field.name.startswith(OF_TRAINING)
            ),
        )
        seen.setdefault(key, name)
    return sorted(seen.values())


def perturb(module, deviation=0.2, seed=5):
    """Moves every variable off its initial value, zeros and ones included."""
    random = np.random.default_rng(seed)
    for variable in module.variables:
        noise = random.normal(0.0, deviation, variable.shape)
        variable.assign_add(tf.constant(noise, tf.float32))
    return module


def count_parameters(module):
    """Returns how many numbers the variables hold."""
    return sum(variable.shape.num_elements() for variable in module.variables)


def make_feature(spec, lengths, padded_length, seed=0):
    """Returns a feature and its lengths: zeros after `lengths` of each row.

    The data of a row depend on the seed and the row alone, not on the padding.
    """
    lengths = np.asarray(lengths, np.int32)
    if spec.shape[0] is not None:
        lengths, padded_length = np.minimum(lengths, 1), spec.shape[0]
    rows = np.zeros([len(lengths), padded_length, *spec.shape[1:]], spec.dtype)
    for row, length in enumerate(lengths):
        random = np.random.default_rng([seed, row])
        whole = length if spec.shape[0] is None else length * spec.shape[0]
        shape = [whole, *spec.shape[1:]]
        if spec.dtype == "float32":
            rows[row, :whole] = random.normal(size=shape)
        else:
            rows[row, :whole] = random.integers(2, spec.vocab_size or 256, shape)
    return tf.constant(rows), tf.constant(lengths)


def make_batch(
    problem, *, input_lengths=(9, 6), target_lengths=(7, 5), padding=0, seed=0
):
    """Returns a batch of one of `PROBLEMS`, padded by `padding` more than it needs."""
    lengths = {"inputs": input_lengths, "targets": target_lengths}
    batch = {}
    for number, (role, spec) in enumerate(PROBLEMS[problem].items()):
        feature, feature_lengths = make_feature(
            spec, lengths[role], max(lengths[role]) + padding, seed=2 * seed + number
        )
        batch[role], batch[f"{role}_length"] = feature, feature_lengths
    return batch


def has_own_nets(hparams_set):
    """Returns whether a set goes from images to classes in a way of its own."""
    hparams = make_hparams(hparams_set)
    usual = make_hparams(f"{model_of(hparams)}_tiny")
    return any(
        getattr(hparams, field.name) != getattr(usual, field.name)
        for field in dataclasses.fields(hparams)
        if field.name.startswith(("image_", "class_label_", "categorical_"))
    )
