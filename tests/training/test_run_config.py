import pytest

from t2t_mm.training.run_config import RunConfig


@pytest.mark.parametrize(
    "changes",
    [
        dict(train_steps=0),
        dict(save_every_steps=0),
        dict(keep_checkpoints=0),
        dict(log_every_steps=-1),
        dict(eval_steps=-1),
        dict(eval_every_steps=-1),
        dict(seed=1.5),
        dict(jit_compile="yes"),
        dict(strategy="both"),
        dict(num_devices=-1),
    ],
)
def test_options_out_of_range_are_named(changes):
    (field,) = changes

    with pytest.raises(ValueError, match=f"`{field}` must .*got"):
        RunConfig(**changes)


def test_zero_evaluates_the_whole_split_at_the_end_only():
    config = RunConfig(eval_steps=0, eval_every_steps=0)

    assert (config.eval_steps, config.eval_every_steps) == (0, 0)
