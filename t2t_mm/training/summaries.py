"""What TensorBoard shows beside the values in the record of a run."""

from collections.abc import Mapping

from t2t_mm.features import Split
from t2t_mm.training import history as history_lib
from t2t_mm.training import samples as samples_lib
from t2t_mm.training import step_values
from t2t_mm.training import updates as updates_lib
from t2t_mm.training.run_config import RunConfig


class Summaries:
    """Writes norms by module, and samples now and then."""

    def __init__(
        self,
        history: history_lib.History,
        updates: updates_lib.Updates,
        samples: samples_lib.Samples | None,
        config: RunConfig,
    ) -> None:
        """Prepares to write where `history` does.

        Args:
          history: record of the run.
          updates: know the modules of the model.
          samples: of the same model; None for none.
          config: says how often samples are shown.
        """
        self._history = history
        self._updates = updates
        self._samples = samples
        self._config = config

    def write_gradient_norms(
        self, step: int, latest: Mapping[str, step_values.UpdateOutput]
    ) -> None:
        """Writes the norms of gradients by module.

        Args:
          step: number of updates.
          latest: the last update of every problem.
        """
        modules = self._updates.modules
        norms = {
            f"{problem}/gradient_norms/{module}": norm
            for problem, update in latest.items()
            for module, norm in modules.by_name(update.module_norms).items()
            if norm  # else the problem does not use it
        }
        self._history.write_scalars(step, Split.TRAIN, norms)

    def write_parameter_norms(self, step: int) -> None:
        """Writes the norms of trained parameters by module."""
        norms = {
            f"parameter_norms/{module}": norm
            for module, norm in self._updates.parameter_norms().items()
        }
        self._history.write_scalars(step, Split.TRAIN, norms)

    def show_samples(self, step: int, split: Split) -> None:
        """Writes samples, with the weights that the model has, if it is time."""
        every = self._config.eval_every_steps * self._config.show_every_evals
        if self._samples is not None and every and step % every == 0:
            with self._history.summaries(step, split):
                self._samples.write()
