"""Packaging of t2t_mm."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
SUBPACKAGES = ("bin", "hparams", "problems")  # beside t2t_mm/, imported below it

packages = setuptools.find_packages(include=["t2t_mm", "t2t_mm.*"])
for folder in SUBPACKAGES:
    found = setuptools.find_packages(include=[folder, f"{folder}.*"])
    packages += [f"t2t_mm.{name}" for name in found]

version_line = (ROOT / "t2t_mm" / "__init__.py").read_text(encoding="utf-8")
version_match = re.search(r'__version__ = "([^"]+)"', version_line)

setuptools.setup(
    name="t2t-mm",
    version=version_match.group(1) if version_match else "0",
    description="One model for many tasks and modalities, on TensorFlow 2.",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=packages,
    package_dir={f"t2t_mm.{folder}": folder for folder in SUBPACKAGES},
    package_data={"t2t_mm": ["py.typed"], "t2t_mm.hparams": ["*.gin"]},
    python_requires=">=3.11.4,<3.14",
    install_requires=[
        "absl-py",
        "dm-tree",
        "etils[epath,epy]",
        "fonttools",  # emoji are pictures in a font
        "gin-config>=0.5",
        "google-crc32c",
        "importlib_resources",  # tensorflow-datasets needs it without saying so
        "jiwer>=4",
        "matplotlib",
        "numpy>=1.26,<3",
        "pillow",
        "requests",
        "sacrebleu>=2.5",
        "sentencepiece>=0.2.1,<0.3",
        "soundfile",
        "soxr",
        "tensorboard",  # TensorFlow 2.21 does not bring it
        "tensorflow>=2.21,<2.22",  # never tensorflow-cpu: tensorflow-text wants this
        "tensorflow-datasets>=4.9.10",
        "tensorflow-text>=2.21,<2.22",
        "tqdm",
        "urllib3",
    ],
    extras_require={
        # TensorFlow and Beam agree on older releases of protobuf, pyarrow and pillow.
        "beam": ["apache-beam>=2.77,<3"],
        "search": ["optuna>=5,<6"],
        "dev": ["mypy", "optuna>=5,<6", "pytest", "pytest-xdist", "ruff"],
    },
    entry_points={
        "console_scripts": [
            "t2t-avg-checkpoints = t2t_mm.bin.t2t_avg_checkpoints:run",
            "t2t-bleu = t2t_mm.bin.t2t_bleu:run",
            "t2t-datagen = t2t_mm.bin.t2t_datagen:run",
            "t2t-decoder = t2t_mm.bin.t2t_decoder:run",
            "t2t-eval = t2t_mm.bin.t2t_eval:run",
            "t2t-extract = t2t_mm.bin.t2t_extract:run",
            "t2t-report = t2t_mm.bin.t2t_report:run",
            "t2t-trainer = t2t_mm.bin.t2t_trainer:run",
            "t2t-translate-all = t2t_mm.bin.t2t_translate_all:run",
        ]
    },
)
