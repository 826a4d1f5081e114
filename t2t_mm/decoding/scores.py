"""Scores of decoded outputs against references."""

from collections.abc import Sequence

import sacrebleu


def score(references: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Returns scores of texts or class names, readable, by name.

    "exact" is the share of outputs that equal their reference. BLEU is sacreBLEU's,
    followed by its signature.
    """
    if not references:
        return {}
    exact = sum(r == o for r, o in zip(references, outputs, strict=True))
    bleu = sacrebleu.metrics.BLEU()
    corpus_score = bleu.corpus_score(list(outputs), [list(references)])
    return {
        "exact": f"{exact / len(references):.4f} of {len(references)}",
        "BLEU": f"{corpus_score.score:.2f} ({bleu.get_signature()})",
    }
