"""Names of metrics that cannot be taken for scores of decoded outputs.

Training records metrics under Tensor2Tensor's names, among which `accuracy` and
`approx_bleu_score` have often been taken for more than they are: at every position
the model saw the true targets before it. Whoever evaluates a model reads them under
names that say so.
"""

from collections.abc import Mapping
from typing import Any

from t2t_mm.training import evaluation

PREFIX = "teacher_forced_"

_OF_SEQUENCES = {
    "accuracy": "token_accuracy",
    "accuracy_per_sequence": "sequence_accuracy",
    "accuracy_top5": "token_accuracy_top5",
}
# Of targets without a before they are what decoding gives, so scores say it all.
_OF_CLASSES = ("accuracy", "accuracy_per_sequence", "accuracy_top5")
_NEG_LOG_PERPLEXITY = "neg_log_perplexity"
_LOG_PERPLEXITY = "log_perplexity"


def rename(row: Mapping[str, Any], *, autoregressive: bool) -> dict[str, float]:
    """Returns the metrics of an evaluation under names that say what they are.

    Args:
      row: metrics of a problem by the names of training.
      autoregressive: whether the targets are predicted from true ones before them.
    """
    metrics = dict(evaluation.scalars(row))
    if _NEG_LOG_PERPLEXITY in metrics:
        metrics[_LOG_PERPLEXITY] = -metrics.pop(_NEG_LOG_PERPLEXITY)
    if not autoregressive:
        return {n: value for n, value in metrics.items() if n not in _OF_CLASSES}
    return {
        PREFIX + _OF_SEQUENCES.get(name, name): value for name, value in metrics.items()
    }
