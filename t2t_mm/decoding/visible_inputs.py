"""Inputs of examples in a form that people can see: texts and pictures."""

import numpy as np

from t2t_mm import problem as problem_lib
from t2t_mm.data import text_problem

_PICTURE_CHANNELS = (1, 3)
_COLOURS = "magma"


def to_text(problem: problem_lib.Problem, inputs: np.ndarray, vocab_dir: str) -> str:
    """Returns ids as text; inputs of another kind by type and shape."""
    if isinstance(problem, text_problem.TextInputs | text_problem.Text2SelfProblem):
        return problem.text_encoder(vocab_dir).decode(inputs.tolist())
    return f"{inputs.dtype} of shape {list(inputs.shape)}"


def to_picture(inputs: np.ndarray) -> np.ndarray | None:
    """Returns pixels, or a spectrogram in colours; None for anything else.

    Args:
      inputs: `[height, width, channels]` uint8, or `[frames, bins, 1]` float; a
        spectrogram has time to the right and high frequencies on top.

    Returns:
      `[height, width, channels]` uint8.
    """
    if inputs.ndim != 3 or inputs.shape[-1] not in _PICTURE_CHANNELS:
        return None
    if inputs.dtype == np.uint8:
        return inputs
    if inputs.shape[-1] != 1:
        return None
    # [frames, bins, 1] -> [bins, frames], high frequencies first
    return colour(inputs[..., 0].T[::-1])


def colour(values: np.ndarray) -> np.ndarray:
    """Returns numbers as colours from dark to bright, `[height, width, 3]` uint8.

    Args:
      values: `[height, width]`; the smallest is the darkest.
    """
    import matplotlib  # late: it takes as long as all the rest

    low, high = np.min(values), np.max(values)
    scaled = (values - low) / max(high - low, np.finfo(np.float32).tiny)
    colours = matplotlib.colormaps[_COLOURS](scaled)[..., :3]
    return np.rint(255 * colours).astype(np.uint8)
