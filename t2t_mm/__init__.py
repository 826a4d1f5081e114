"""One model for many tasks and modalities, on TensorFlow 2."""

import pathlib

__version__ = "0.1.0"

# In a checkout problems/, hparams/ and bin/ lie beside this folder; in a wheel,
# inside it.
_PACKAGE_DIR = pathlib.Path(__file__).parent
if not (_PACKAGE_DIR / "problems").is_dir():
    __path__.append(str(_PACKAGE_DIR.parent))
