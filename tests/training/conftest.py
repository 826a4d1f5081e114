import dataclasses

import pytest

from t2t_mm.training import experiment
from t2t_mm.training.run_config import RunConfig


@pytest.fixture(scope="session")
def smallest_settings(smallest_hparams, digits_dir):
    """Returns the arguments of `preparation.prepare` for a run of four steps."""
    return {
        "model_name": "transformer",
        "hparams_set": "transformer_tiny",
        "hparams": dataclasses.replace(smallest_hparams, ema_decay=0.5),
        "problem_names": ("copy_digits",),
        "config": RunConfig(
            train_steps=4,
            eval_steps=1,
            eval_every_steps=2,
            save_every_steps=2,
            log_every_steps=2,
            show_every_evals=1,
        ),
        "data_dir": digits_dir,
    }


@pytest.fixture(scope="session")
def smallest_run_dir(tmp_path_factory, smallest_settings):
    """Returns the folder of a run that must not be changed."""
    folder = tmp_path_factory.mktemp("run")
    trainer = experiment.build(output_dir=str(folder), **smallest_settings)
    trainer.train_and_evaluate()
    return folder
