"""Every registered hparams set, and every switch in some set."""

import dataclasses
import typing

import pytest

import tiny_models
from t2t_mm import hparam, registry
from t2t_mm.models import expert_hparams, multimodel_hparams

registry.import_registrations()

CHOICES = {
    "feed_forward": expert_hparams.FEED_FORWARDS,
    "moe_activation": expert_hparams.ACTIVATIONS,
    "moe_router": expert_hparams.ROUTERS,
    "moe_router_input": expert_hparams.ROUTER_INPUTS,
    "moe_balance": expert_hparams.BALANCES,
    "second_skip": multimodel_hparams.SECOND_SKIPS,
    "dropout_position": multimodel_hparams.DROPOUT_POSITIONS,
    "attention_type": multimodel_hparams.ATTENTION_TYPES,
    "attention_premix": multimodel_hparams.ATTENTION_PREMIXES,
    "norm_position": multimodel_hparams.NORM_POSITIONS,
    "image_net": hparam.IMAGE_NETS,
    "class_label_net": hparam.CLASS_LABEL_NETS,
}
# There to compare with Tensor2Tensor: what it did to padding, and what it did to
# classes of sequences.
FOR_GOLDENS = {
    "audio_pad_to_stride": False,
    "class_label_count_padding": True,
    "class_label_net": "release_1d",
    "moe_route_padding": True,
}


def _sets():
    return [registry.HPARAMS.get(name)() for name in registry.HPARAMS.names()]


@pytest.mark.parametrize("name", registry.HPARAMS.names())
def test_a_set_is_documented_and_can_be_overridden_to_itself(name):
    hparams = registry.HPARAMS.get(name)()

    assert registry.HPARAMS.get(name).__doc__
    assert hparam.resolve(name) == hparams
    assert hparams == registry.HPARAMS.get(name)()


@pytest.mark.parametrize("field", CHOICES)
def test_every_choice_is_made_by_some_set(field):
    made = {getattr(hparams, field, None) for hparams in _sets()}

    left = set(CHOICES[field]) - made
    assert left <= {FOR_GOLDENS.get(field)}


def test_every_switch_of_a_model_is_on_in_some_set_and_off_in_another():
    seen = {}
    for hparams in _sets():
        kinds = typing.get_type_hints(type(hparams))
        for field in dataclasses.fields(hparams):
            is_of_model = not field.name.startswith(tiny_models.OF_TRAINING)
            if kinds[field.name] is bool and is_of_model:
                seen.setdefault(field.name, set()).add(getattr(hparams, field.name))

    for field, values in seen.items():
        if field in FOR_GOLDENS:
            assert values == {not FOR_GOLDENS[field]}, field
        else:
            assert values == {True, False}, field
