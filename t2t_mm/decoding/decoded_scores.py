"""Scores of decoded outputs during training."""

from collections.abc import Mapping

from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.decoding import decoded_predictions
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.decoder import Decoder
from t2t_mm.evaluation import scores
from t2t_mm.features import Split


class DecodedScores:
    """Decodes a part of a split with the weights that a model has at the time."""

    def __init__(
        self,
        model: model_lib.Model,
        problems: Mapping[str, problem_lib.Problem],
        *,
        data_dir: str,
        max_batches: int,
        config: DecodeConfig,
    ) -> None:
        """Creates the decoder of each problem.

        Args:
          model: the model; its variables are read at each evaluation.
          problems: by name; some or all of the model's.
          data_dir: folder of the records and the vocabularies.
          max_batches: how many batches of each problem are decoded.
          config: how to decode.
        """
        self._data_dir = data_dir
        self._max_batches = max_batches
        self._decoders = {
            name: Decoder(
                model,
                problem,
                config=decoded_predictions.scoring_config(problem, config),
                vocab_dir=data_dir,
            )
            for name, problem in problems.items()
        }

    def evaluate(self, problem: str, split: Split) -> dict[str, float]:
        """Returns the scores of a problem, under names such as "decoded_bleu"."""
        decoder = self._decoders[problem]
        predictions = decoded_predictions.of_split(
            decoder, split, self._data_dir, self._max_batches
        )
        found = scores.score(decoder.problem.scores, predictions)
        return {scores.DECODED + name: score.value for name, score in found.items()}
