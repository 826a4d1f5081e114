import dataclasses

import pytest

from t2t_mm import config_fields, gin_settings, hparam, registry
from t2t_mm.models.multimodel_hparams import MultiModelHParams
from t2t_mm.training.run_config import RunConfig

registry.import_registrations()

TINY = {"multimodel_tiny": MultiModelHParams}


def _resolve(tmp_path, *, gin_file=None, bindings=(), overrides=""):
    """Returns multimodel_tiny as the trainer does it."""
    files = []
    if gin_file is not None:
        path = tmp_path / "mine.gin"
        path.write_text(gin_file)
        files.append(str(path))
    bound = gin_settings.read_gin(TINY, files, bindings)
    return hparam.resolve(
        "multimodel_tiny", bound=bound["multimodel_tiny"], overrides=overrides
    )


def test_without_overrides_a_set_is_as_it_is_written(tmp_path):
    assert _resolve(tmp_path) == registry.HPARAMS.get("multimodel_tiny")()


def test_later_overrides_win(tmp_path):
    file = "\n".join(
        f"multimodel_tiny.{field} = 0.2"
        for field in ("dropout", "label_smoothing", "attention_dropout")
    )
    bindings = ["multimodel_tiny.dropout = 0.3", "multimodel_tiny.moe_k = 1"]

    hparams = _resolve(
        tmp_path, gin_file=file, bindings=bindings, overrides="dropout=0.4"
    )

    assert hparams.dropout == 0.4
    assert hparams.moe_k == 1
    assert hparams.label_smoothing == 0.2
    assert hparams.attention_dropout == 0.2


def test_bindings_beat_files(tmp_path):
    hparams = _resolve(
        tmp_path,
        gin_file="multimodel_tiny.dropout = 0.2",
        bindings=["multimodel_tiny.dropout = 0.3"],
    )

    assert hparams.dropout == 0.3


def test_files_are_read_in_order(tmp_path):
    paths = [tmp_path / "first.gin", tmp_path / "second.gin"]
    for path, seed in zip(paths, (1, 2), strict=True):
        path.write_text(f"RunConfig.seed = {seed}")

    bound = gin_settings.read_gin({"RunConfig": RunConfig}, [str(p) for p in paths], [])

    assert bound == {"RunConfig": {"seed": 2}}


def test_several_targets_are_read_at_once():
    bound = gin_settings.read_gin(
        TINY | {"RunConfig": RunConfig},
        [],
        ["RunConfig.train_steps = 7", "multimodel_tiny.kernel_sizes = [3, 3, 5, 5]"],
    )

    assert bound == {
        "RunConfig": {"train_steps": 7},
        "multimodel_tiny": {"kernel_sizes": (3, 3, 5, 5)},
    }


def test_one_call_leaves_nothing_to_the_next():
    gin_settings.read_gin(TINY, [], ["multimodel_tiny.dropout = 0.3"])

    assert gin_settings.read_gin(TINY, [], []) == {"multimodel_tiny": {}}


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("multimodel_tiny.hidden_sise = 4", "no field 'hidden_sise'.*mean hidden_size"),
        ("multimodel_tiny.hidden_size = 'big'", "`hidden_size` must be of type int"),
        ("multimodel_tiny.hidden_size = 1.5", "`hidden_size` must be of type int"),
        ("multimodel_tiny.audio_merge_bins = 1", "must be of type bool; got 1"),
        ("multimodel_tiny.hidden_size", "gin could not read the settings"),
        ("multimodel_tinny.hidden_size = 4", "gin could not read .*multimodel_tiny"),
    ],
)
def test_bindings_that_fit_nothing_are_errors(binding, message):
    with pytest.raises(ValueError, match=message):
        gin_settings.read_gin(TINY, [], [binding])


def test_a_binding_for_a_set_that_the_run_does_not_read_is_an_error():
    gin_settings.read_gin({"multimodel_base": MultiModelHParams}, [], [])

    with pytest.raises(ValueError, match="multimodel_base"):
        gin_settings.read_gin(TINY, [], ["multimodel_base.dropout = 0.3"])


def test_a_gin_file_that_does_not_exist_is_named():
    with pytest.raises(FileNotFoundError, match="there is no 'nowhere.gin'"):
        gin_settings.read_gin(TINY, ["nowhere.gin"], [])


def test_an_unknown_set_names_the_closest():
    with pytest.raises(LookupError, match="'multimodel_tiny'"):
        hparam.resolve("multimodel_tinny")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("hidden_size=128", {"hidden_size": 128}),
        (" hidden_size = 128 , dropout = .5,", {"hidden_size": 128, "dropout": 0.5}),
        ("kernel_sizes=(3,3,5,5),moe_k=1", {"kernel_sizes": (3, 3, 5, 5), "moe_k": 1}),
        ("image_filters=[8]", {"image_filters": (8,)}),
        ("image_filters=()", {"image_filters": ()}),
        ("audio_merge_bins=true", {"audio_merge_bins": True}),
        ("audio_merge_bins=False", {"audio_merge_bins": False}),
        ("dropout=0", {"dropout": 0.0}),
        ("learning_rate_constant=1e-4", {"learning_rate_constant": 1e-4}),
        ("activation_dtype=bfloat16", {"activation_dtype": "bfloat16"}),
        ("activation_dtype='bfloat16'", {"activation_dtype": "bfloat16"}),
        ('mixing="a:1,b:2"', {"mixing": "a:1,b:2"}),
        ("mixing='a:1,b:2',moe_k=1", {"mixing": "a:1,b:2", "moe_k": 1}),
        ("moe_k=1,mixing='a:(1'", {"moe_k": 1, "mixing": "a:(1"}),
        (
            "learning_rate_schedule=constant*linear_warmup",
            {"learning_rate_schedule": "constant*linear_warmup"},
        ),
    ],
)
def test_overrides_are_parsed_by_the_types_of_the_fields(text, values):
    parsed = config_fields.parse_overrides(text, MultiModelHParams)

    assert parsed == values
    for name, value in values.items():
        assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hiden_size=4", "has no field 'hiden_size'. Did you mean hidden_size"),
        ("xyz=4", "has no field 'xyz'. It has: "),
        ("moe_k=1,moe_k=2", "`moe_k` is given twice in 'moe_k=1,moe_k=2'"),
        ("hidden_size", "must read name=value, .*; got 'hidden_size'"),
        ("hidden_size=", "must read name=value, .*; got 'hidden_size='"),
        ("mixing='a:1,b:2", r"A quote \('\) must be closed; got 'mixing='a:1,b:2'"),
        ("hidden_size=1e3", "`hidden_size` must be of type int; got 1000.0"),
        ("hidden_size=big", "`hidden_size` must be of type int; got 'big'"),
        ("hidden_size=True", "`hidden_size` must be of type int; got True"),
        ("dropout=True", "`dropout` must be of type float; got True"),
        ("audio_merge_bins=1", "`audio_merge_bins` must be of type bool; got 1"),
        ("kernel_sizes=3", r"`kernel_sizes` must be of type tuple\[int, ...\]; got 3"),
        ("kernel_sizes=(3,3,5,'a')", r"must be of type tuple\[int, ...\]"),
    ],
)
def test_overrides_that_do_not_fit_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        config_fields.parse_overrides(text, MultiModelHParams)


@pytest.mark.parametrize(
    "changes",
    [
        dict(batch_size=0),
        dict(hidden_size=-1),
        dict(image_stem_stride=0),
        dict(dropout=1.0),
        dict(dropout=-0.1),
        dict(dropout=float("nan")),
        dict(label_smoothing=1.0),
        dict(optimizer_adam_beta2=1.0),
        dict(clip_grad_norm=-1.0),
        dict(weight_decay=float("nan")),
        dict(learning_rate_decay_steps=-1),
        dict(activation_dtype="float16"),
        dict(optimizer="sgd"),
        dict(image_stem_filters=(32,)),
        dict(image_stem_filters=(32, 0)),
        dict(image_filters=(128, -1)),
        dict(audio_filters=(0,) * 8),
        dict(augment_audio_time_warp=1.0),
        dict(augment_audio_frequency_warp=-0.1),
        dict(augment_audio_time_masks=-1),
        dict(augment_image_shift=-1),
        dict(augment_audio_time_mask_share=1.0),
        dict(augment_audio_frequency_masks=-1),
        dict(augment_audio_frequency_mask_bins=0),
        dict(class_label_filters=(1, 0, 2)),
        dict(class_label_filters=(1, 2)),
        dict(class_label_net="flat"),
        dict(image_net="vit"),
        dict(image_patch_size=0),
        dict(audio_time_stride=3),
        dict(audio_time_stride=0),
        dict(audio_time_stride=1024),
        dict(hidden_size=1.5),
    ],
)
def test_values_out_of_range_are_named(changes):
    (field,) = changes

    with pytest.raises(ValueError, match=f"`{field}` must .*got"):
        hparam.HParams(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        dict(moe_capacity_factor=0.5),
        dict(moe_loss_coef=-1.0),
        dict(num_mixer_blocks=-1),
        dict(kernel_sizes=(3, 4, 15, 15)),
        dict(kernel_sizes=(3, -1, 15, 15)),
        dict(dilation_rates=(1, 1, 0, 8)),
        dict(timing_channels=7),
        dict(moe_num_experts=0),
    ],
)
def test_values_of_a_model_out_of_range_are_named(changes):
    (field,) = changes

    with pytest.raises(ValueError, match=f"`{field}` must .*got"):
        MultiModelHParams(**changes)


def test_a_router_that_nothing_teaches_is_refused():
    settings = dict(moe_k=1, moe_balance="none")

    with pytest.raises(ValueError, match="`moe_k` must be at least 2 .*'softmax'"):
        MultiModelHParams(**settings)
    MultiModelHParams(**settings, moe_router="softmax")
    MultiModelHParams(**settings, feed_forward="dense")
    MultiModelHParams(moe_k=1)


def test_merging_bins_needs_a_block():
    with pytest.raises(ValueError, match="`audio_filters` must have a number"):
        hparam.HParams(audio_filters=(), audio_merge_bins=True, audio_time_stride=1)


def test_the_largest_audio_stride_needs_a_block_for_every_halving():
    filters = (2, 4, 8)

    hparam.HParams(audio_filters=filters, audio_time_stride=16)
    hparam.HParams(audio_filters=filters, audio_time_stride=8, audio_merge_bins=True)
    with pytest.raises(ValueError, match="power of 2 of at most 8, .*got 16"):
        hparam.HParams(
            audio_filters=filters, audio_time_stride=16, audio_merge_bins=True
        )


def test_hparams_are_frozen_and_converted_where_nothing_is_lost():
    hparams = hparam.HParams(dropout=0, image_filters=[64])

    assert (hparams.dropout, hparams.image_filters) == (0.0, (64,))
    assert type(hparams.dropout) is float
    with pytest.raises(dataclasses.FrozenInstanceError):
        hparams.dropout = 0.5


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (None, int | None, None),
        (3, int | None, 3),
        (3, float | None, 3.0),
        ([1, 2], tuple[float, ...], (1.0, 2.0)),
        ("a", str, "a"),
    ],
)
def test_values_are_coerced_to_the_types_of_fields(value, kind, expected):
    assert config_fields.coerce(value, kind) == expected


def test_differences_are_listed_by_field():
    old = hparam.HParams()
    new = MultiModelHParams(hidden_size=512, dropout=0.2)

    lines = hparam.differences(old, new)

    assert "dropout: 0.1 -> 0.2" in lines
    assert "moe_k: None -> 4" in lines
    assert not any(line.startswith("hidden_size") for line in lines)
    assert hparam.differences(old, hparam.HParams()) == []


@pytest.mark.parametrize("name", registry.HPARAMS.names())
def test_every_set_is_valid_and_documented(name):
    made = registry.HPARAMS.get(name)

    assert made.__doc__
    assert isinstance(hparam.resolve(name), hparam.HParams)
