"""Scores of decoded outputs against references, by the names of `Problem.scores`."""

from collections.abc import Sequence

from etils import epy

from t2t_mm import registry
from t2t_mm.evaluation import bracketing

with epy.lazy_imports():
    import jiwer
    import sacrebleu


def score(
    names: Sequence[str], references: Sequence[str], outputs: Sequence[str]
) -> dict[str, str]:
    """Returns readable scores by name; none if nothing was decoded.

    Args:
      names: those of registered scores, such as `Problem.scores`.
      references: true texts or names of classes.
      outputs: those of a model, in the same order.

    Raises:
      LookupError: if there is no such score.
      ValueError: if there are not as many outputs as references.
    """
    if len(references) != len(outputs):
        raise ValueError(
            f"There must be an output for every reference; got {len(outputs)} outputs "
            f"and {len(references)} references."
        )
    if not references:
        return {}
    return {name: registry.SCORES.get(name)(references, outputs) for name in names}


@registry.register_score("exact")
def exact(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns the share of outputs that equal their reference."""
    count = sum(r == o for r, o in zip(references, outputs, strict=True))
    return f"{count / len(references):.4f} of {len(references)}"


@registry.register_score("bleu")
def bleu(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns sacreBLEU's BLEU, followed by its signature."""
    metric = sacrebleu.metrics.BLEU()
    found = metric.corpus_score(list(outputs), [list(references)])
    return f"{found.score:.2f} ({metric.get_signature()})"


@registry.register_score("cer")
def cer(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns the character error rate: edits of all outputs per true character."""
    return f"{jiwer.cer(list(references), list(outputs)):.4f}"


@registry.register_score("wer")
def wer(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns the word error rate: edits of all outputs per true word."""
    return f"{jiwer.wer(list(references), list(outputs)):.4f}"


@registry.register_score("well_formed")
def well_formed(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns the share of outputs that are trees over the words of their reference."""
    found = bracketing.score_symbols(references, outputs)
    return f"{found.well_formed:.4f} of {found.sentences}"


@registry.register_score("labelled_f1")
def labelled_f1(references: Sequence[str], outputs: Sequence[str]) -> str:
    """Returns F1, precision and recall of labelled brackets, in percent."""
    found = bracketing.score_symbols(references, outputs)
    return (
        f"{100 * found.f1:.2f} (precision {100 * found.precision:.2f}, "
        f"recall {100 * found.recall:.2f}; all brackets of {found.equal} of "
        f"{found.sentences} right; {found.ill_formed} without brackets: no trees)"
    )
