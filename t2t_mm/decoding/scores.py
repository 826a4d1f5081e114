"""Scores of decoded outputs against references."""

from collections.abc import Sequence

import sacrebleu


def score(
    references: Sequence[str],
    outputs: Sequence[str],
    *,
    are_texts: bool,
    are_ids: bool = True,
) -> dict[str, str]:
    """Returns readable scores by name.

    "exact" is the share of outputs that equal their reference; numbers, which are near
    it rather, have no score here. BLEU, which only texts have, is sacreBLEU's, followed
    by its signature.

    Args:
      references: true texts or names of classes.
      outputs: those of a model, in the same order.
      are_texts: whether they are texts.
      are_ids: whether they were ids, not numbers.
    """
    if not references or not are_ids:
        return {}
    exact = sum(r == o for r, o in zip(references, outputs, strict=True))
    scores = {"exact": f"{exact / len(references):.4f} of {len(references)}"}
    if not are_texts:
        return scores
    bleu = sacrebleu.metrics.BLEU()
    corpus_score = bleu.corpus_score(list(outputs), [list(references)])
    return scores | {"BLEU": f"{corpus_score.score:.2f} ({bleu.get_signature()})"}
