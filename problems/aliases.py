"""What Tensor2Tensor called the problems that are here under another name.

The names come from all of its releases. Where the old problem was not quite the same,
the log says what differs. `_rev` and `_copy` go with an old name as with a new one.
"""

from t2t_mm import registry

_SUBWORDS = "It has subwords instead of characters."
_LARGE = "Its vocabulary has 8,192 subwords instead of {}."
_PACKED = "Its records hold one example each instead of several."
_PATH = "Say where its files are with --corpus_path={}=PATH instead of --tmp_dir."
_SMALL_ENFR = (
    "It has all training texts that are in its folder: leave the archives of the "
    "United Nations and of giga-fren away for a small one."
)
_TUNE = "It has the splits of its corpus, without a special one for tuning."
_LETTERS = "It has letters instead of subwords: --vocabulary=NAME changes that."

# {new name: {old name: what differs}}.
ALIASES: dict[str, dict[str, str]] = {
    "wmt_ende": {
        "translate_ende_wmt8k": "",
        "translate_ende_wmt8k_packed": _PACKED,
        "translate_ende_wmt32k": _LARGE.format("32k"),
        "translate_ende_wmt32k_packed": f"{_LARGE.format('32k')} {_PACKED}",
        "translate_ende_wmt_characters": _SUBWORDS,
        "wmt_ende_tokens_8k": "",
        "wmt_ende_tokens_32k": _LARGE.format("32k"),
        "wmt_ende_characters": _SUBWORDS,
    },
    "wmt_enfr": {
        "translate_enfr_wmt8k": "",
        "translate_enfr_wmt32k": _LARGE.format("32k"),
        "translate_enfr_wmt32k_packed": f"{_LARGE.format('32k')} {_PACKED}",
        "translate_enfr_wmt_small8k": _SMALL_ENFR,
        "translate_enfr_wmt_small32k": f"{_LARGE.format('32k')} {_SMALL_ENFR}",
        "translate_enfr_wmt_characters": _SUBWORDS,
        "wmt_enfr_tokens_8k": "",
        "wmt_enfr_tokens_32k": _LARGE.format("32k"),
        "wmt_enfr_characters": _SUBWORDS,
    },
    "text2text_folder": {
        "text2text_tmpdir": _PATH.format("text2text_folder"),
        "text2text_tmpdir_tokens": (
            f"It builds a vocabulary of subwords. {_PATH.format('text2text_folder')}"
        ),
    },
    "imdb": {
        "sentiment_imdb": "",
        "sentiment_imdb_characters": _SUBWORDS,
    },
    "algorithmic_reverse_binary40": {
        "algorithmic_reverse_binary40_test": "It is the large one.",
    },
    "wsj_parsing": {
        "parsing_english_ptb8k": "",
        "parsing_english_ptb16k": _LARGE.format("16k"),
        "wmt_parsing_tokens_8k": "",
        "wmt_parsing_characters": _SUBWORDS,
        "wsj_parsing_tokens_16k": _LARGE.format("16k"),
        "wsj_parsing_tokens_32k": _LARGE.format("32k"),
    },
    "imagenet": {
        "image_imagenet": "",
    },
    "imagenet224": {"image_imagenet224": ""},
    "cifar10": {
        "image_cifar10": "",
        "image_cifar10_plain": "",
        "image_cifar10_tune": _TUNE,
    },
    "cifar100": {
        "image_cifar100": "",
        "image_cifar100_plain": "",
        "image_cifar100_tune": _TUNE,
    },
    "mnist": {
        "image_mnist": "",
        "image_mnist_tune": _TUNE,
    },
    "fashion_mnist": {"image_fashion_mnist": ""},
    "coco_captions": {
        "image_ms_coco_tokens8k": "",
        "image_ms_coco_tokens32k": _LARGE.format("32k"),
        "image_ms_coco_characters": _SUBWORDS,
        "image_mscoco_tokens_8k_test": "",
        "image_mscoco_tokens_8k_tune": _TUNE,
        "image_mscoco_tokens_32k_test": _LARGE.format("32k"),
        "image_mscoco_tokens_32k_tune": f"{_LARGE.format('32k')} {_TUNE}",
        "image_mscoco_tokens_128k_tune": f"{_LARGE.format('128k')} {_TUNE}",
        "image_mscoco_characters_tune": f"{_SUBWORDS} {_TUNE}",
        "image_mscoco_characters_test": _SUBWORDS,
    },
    "speech_folder": {
        "common_voice": _PATH.format("speech_folder"),
        "common_voice_clean": _PATH.format("speech_folder"),
    },
    "wsj_speech": {
        "audio_wsj_tokens_8k_tune": f"{_LETTERS} {_TUNE}",
        "audio_wsj_tokens_8k_test": _LETTERS,
        "audio_wsj_characters_tune": _TUNE,
        "audio_wsj_characters_test": "",
    },
}

for _new, _names in ALIASES.items():
    for _old, _remark in _names.items():
        registry.register_alias(_old, _new, _remark)
