"""One model for many tasks and modalities, on TensorFlow 2."""

import os
import pathlib
import typing

if typing.TYPE_CHECKING:
    from t2t_mm import trained_model

__version__ = "0.1.0"

# In a checkout problems/, hparams/ and bin/ lie beside this folder; in a wheel,
# inside it.
_PACKAGE_DIR = pathlib.Path(__file__).parent
if not (_PACKAGE_DIR / "problems").is_dir():
    __path__.append(str(_PACKAGE_DIR.parent))


def load(
    output_dir: str | os.PathLike[str],
    *,
    checkpoint_path: str | None = None,
    usr_dir: str | None = None,
    jit_compile: bool | None = None,
    batches_at_once: int = 0,
) -> "trained_model.TrainedModel":
    """Returns the model of a run, to decode, score and evaluate with.

    Imports TensorFlow, which `import t2t_mm` alone does not.

    Args:
      output_dir: folder of the run.
      checkpoint_path: prefix of a checkpoint's files, such as "run/ckpt-1000", or
        "best"; the newest of the run if None.
      usr_dir: folder of your own registrations, if the run needs them.
      jit_compile: search for outputs with XLA, which takes seconds for each shape of a
        batch, or without it; None for shapes that come up often.
      batches_at_once: how many batches are decoded at the same time, with the same
        outputs; 0 for one more than there are cores, at most 8, and one with a GPU.

    Raises:
      FileNotFoundError: if there is no run or no checkpoint.
      LookupError: if the run's model, a problem or a modality is not registered.
    """
    from t2t_mm import trained_model  # late: it imports TensorFlow

    return trained_model.load(
        output_dir,
        checkpoint_path=checkpoint_path,
        usr_dir=usr_dir,
        jit_compile=jit_compile,
        batches_at_once=batches_at_once,
    )
