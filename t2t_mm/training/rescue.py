"""Saving the state of a run when something other than training has gone wrong."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator

from absl import logging

from t2t_mm.runs import checkpoint_files
from t2t_mm.training import checkpoint, retention

_PREFIX = "t2t_rescue_"


class Rescue:
    """Saves the state before an error ends the run, somewhere else if need be."""

    def __init__(
        self,
        checkpoints: checkpoint.Checkpoints,
        describe: Callable[[str], None],
    ) -> None:
        """Prepares for the worst.

        Args:
          checkpoints: of the run.
          describe: writes the description of the run and its vocabularies to a folder.
        """
        self._checkpoints = checkpoints
        self._describe = describe

    @contextlib.contextmanager
    def at_hand(self) -> Iterator[None]:
        """Saves if an error comes up inside the context, where no step is half done.

        Raises:
          OSError: for one that came up; says what is saved and how to go on.
        """
        try:
            yield
        except OSError as error:
            raise OSError(f"{error} {self._save(error)}") from error
        except Exception as error:
            logging.error("%s", self._save(error))
            raise

    def _save(self, reason: Exception) -> str:
        """Saves the state and returns where it is, as a sentence."""
        step = self._checkpoints.step
        try:
            self._checkpoints.save()
            return f"Step {step} is saved; the same command goes on from there."
        except OSError as error:
            if str(error) != str(reason):
                logging.warning("%s", error)
        try:
            folder = self._save_elsewhere(step)
        except OSError as error:
            logging.warning("Nor in the system's folder for temporary files: %s", error)
            return self._describe_newest()
        return (
            f"Step {step} is saved in '{folder}' instead: copy its files into "
            f"'{self._checkpoints.output_dir}', and the same command goes on from "
            "there."
        )

    def _save_elsewhere(self, step: int) -> str:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        self._describe(folder)
        self._checkpoints.write(checkpoint_files.prefix(folder, step))
        # So that those before are not forgotten when its files are copied back.
        before = checkpoint_files.read_list(self._checkpoints.output_dir)
        listed = retention.add(before, step, time.time())
        checkpoint_files.write_list(folder, listed)
        return folder

    def _describe_newest(self) -> str:
        listed = checkpoint_files.read_list(self._checkpoints.output_dir).listed
        if not listed:
            return "No step is saved."
        return (
            f"Step {listed[-1].step} is the last that is saved; the same command goes "
            "on from there."
        )
