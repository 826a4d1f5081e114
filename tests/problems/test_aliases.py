import logging

import pytest

from t2t_mm import registry

registry.import_registrations()

# The names in Tensor2Tensor's documents and papers, and what they are here.
DOCUMENTED = {
    "translate_ende_wmt8k": "wmt_ende",
    "translate_ende_wmt32k": "wmt_ende",
    "translate_enfr_wmt8k": "wmt_enfr",
    "translate_enfr_wmt_small8k": "wmt_enfr",
    "wmt_ende_tokens_8k": "wmt_ende",
    "wmt_enfr_tokens_8k": "wmt_enfr",
    "image_imagenet": "imagenet",
    "image_cifar10": "cifar10",
    "image_cifar100": "cifar100",
    "image_mnist": "mnist",
    "image_fashion_mnist": "fashion_mnist",
    "image_ms_coco_tokens8k": "coco_captions",
    "image_ms_coco_tokens32k": "coco_captions",
    "image_mscoco_tokens_8k_tune": "coco_captions",
    "parsing_english_ptb8k": "wsj_parsing",
    "wmt_parsing_tokens_8k": "wsj_parsing",
    "audio_wsj_tokens_8k_tune": "wsj_speech",
    "sentiment_imdb": "imdb",
    "text2text_tmpdir": "text2text_folder",
}
ALL = registry.PROBLEMS.aliases()


@pytest.mark.parametrize("old", DOCUMENTED)
def test_documented_names_stand_for_what_they_are_here(old):
    assert ALL[old] == DOCUMENTED[old]


@pytest.mark.parametrize(
    "old", [old for old, new in ALL.items() if new in registry.PROBLEMS.names()]
)
def test_every_alias_resolves(old):
    assert registry.problem(old).name == ALL[old]


def test_directions_go_with_old_names():
    assert registry.problem("translate-ende-wmt8k_rev").name == "wmt_ende_rev"


@pytest.mark.parametrize(
    ("old", "remark"),
    [
        ("translate_ende_wmt32k", "Its vocabulary has 8,192 subwords instead of 32k."),
        ("translate_ende_wmt_characters", "subwords instead of characters."),
        ("text2text_tmpdir", "--corpus_path=text2text_folder=PATH"),
    ],
)
def test_what_differs_is_said(old, remark, caplog):
    registry.PROBLEMS._said.discard(old)

    with caplog.at_level(logging.INFO, logger="absl"):
        registry.problem(old)

    assert f"'{old}' is called '{ALL[old]}' here. " in caplog.text
    assert remark in caplog.text


@pytest.mark.parametrize("old", ALL)
def test_a_vocabulary_of_another_size_is_named(old):
    remark = registry.PROBLEMS._aliases[old].remark

    for size in ("16k", "32k", "128k"):
        if f"_{size}" in old or old.endswith(size) or f"wmt{size}" in old:
            assert size in remark
