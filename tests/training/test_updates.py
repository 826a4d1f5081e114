import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import averaging
from t2t_mm.layers import initializers
from t2t_mm.training import optimizers, step_values, updates

TEXT, CLASS = "text_to_text", "text_to_class"
PLAIN = dict(  # plain descent: an update is the gradient
    optimizer="momentum",
    optimizer_momentum_momentum=0.0,
    clip_grad_norm=0.0,
    dropout=0.0,
    attention_dropout=0.0,
    relu_dropout=0.0,
    num_hidden_layers=1,
)


class _Setting:
    """A model with an optimizer and what makes updates of it."""

    def __init__(self, *, jit_compile=False, frozen=(), **changes):
        problems = {name: tiny_models.PROBLEMS[name] for name in (TEXT, CLASS)}
        self.model = tiny_models.make_model(
            "transformer_tiny", problems, **PLAIN | changes
        )
        hparams = self.model.hparams
        self.variables = [
            v
            for v in self.model.trainable_variables
            if not any(part in v.name for part in frozen)
        ]
        self.optimizer = optimizers.make_optimizer(self.variables, hparams)
        self.average = None
        if hparams.ema_decay:
            self.average = averaging.WeightAverage(self.variables, hparams.ema_decay)
        self.updates = updates.Updates(
            self.model, self.optimizer, self.average, jit_compile=jit_compile
        )

    def draw(self, problem, *batches, **settings):
        prepared = [self.model.prepare(batch, problem) for batch in batches]
        return step_values.Draw(problem, prepared, **settings)

    def _all_variables(self):
        modules = (self.model, self.optimizer, self.average)
        return [v for m in modules if m is not None for v in m.variables]

    def values(self):
        return [variable.numpy() for variable in self._all_variables()]

    def set_values(self, values):
        for variable, value in zip(self._all_variables(), values, strict=True):
            variable.assign(value)

    def change(self, *draws, rate=1.0):
        """Returns how an update changes every trained variable, and its outputs."""
        before = [v.numpy() for v in self.variables]
        result = self.updates.step(draws, rate, (1, 2))
        after = [v.numpy() for v in self.variables]
        return [new - old for new, old in zip(after, before, strict=True)], *result


def _batch(problem, lengths, seed, padding=0):
    return tiny_models.make_batch(
        problem,
        input_lengths=lengths,
        target_lengths=lengths,
        seed=seed,
        padding=padding,
    )


def _joined(one, other):
    return {name: tf.concat([one[name], other[name]], 0) for name in one}


def _check_equal(changes, others, atol=1e-6):
    for one, other in zip(changes, others, strict=True):
        np.testing.assert_allclose(one, other, atol=atol)


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("problem", [TEXT, CLASS])
def test_batches_of_one_update_are_one_large_batch(problem, jit_compile):
    # Batches of different weight: 12, 7 and 6 target ids.
    first, second = _batch(problem, (7, 5), 1), _batch(problem, (4, 3), 2, padding=3)
    third = _batch(problem, (5, 1), 3, padding=2)
    large = _joined(_joined(first, second), third)

    one, many = (_Setting(jit_compile=jit_compile) for _ in range(2))
    expected, (of_large,), update = one.change(one.draw(problem, large))
    found, (of_many,), of_parts = many.change(many.draw(problem, first, second, third))

    _check_equal(found, expected)
    assert max(np.abs(change).max() for change in expected) > 1e-2
    for a, b in zip((*of_large, *update), (*of_many, *of_parts), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.slow
def test_problems_of_one_update_count_alike():
    batches = {TEXT: _batch(TEXT, (7, 5), 1), CLASS: _batch(CLASS, (4, 3), 2)}
    alone = {}
    for problem, batch in batches.items():
        setting = _Setting()
        alone[problem], *_ = setting.change(setting.draw(problem, batch))

    setting = _Setting()
    found, outputs, _ = setting.change(
        *(setting.draw(problem, batch) for problem, batch in batches.items())
    )

    _check_equal(found, [(a + b) / 2 for a, b in zip(*alone.values(), strict=True)])
    assert [float(output.examples) for output in outputs] == [2.0, 2.0]
    assert [float(output.targets) for output in outputs] == [12.0, 2.0]


def test_the_loss_weight_scales_the_gradient_and_not_the_loss():
    batch = _batch(TEXT, (7, 5), 1)
    setting = _Setting()
    initial = setting.values()

    change, (output,), update = setting.change(setting.draw(TEXT, batch))
    setting.set_values(initial)
    scaled, (of_weighted,), of_scaled = setting.change(
        setting.draw(TEXT, batch, loss_weight=0.25)
    )

    _check_equal(scaled, [0.25 * c for c in change])
    assert of_weighted.loss == output.loss
    np.testing.assert_allclose(
        of_scaled.gradient_norm, 0.25 * update.gradient_norm, rtol=1e-5
    )


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("optimizer", ["lazy_adam", "adafactor"])
def test_an_update_that_is_not_finite_changes_nothing(optimizer, count):
    setting = _Setting(optimizer=optimizer, ema_decay=0.9, weight_decay=0.1)
    draw = setting.draw(TEXT, *[_batch(TEXT, (7, 5), 1)] * count)
    setting.change(draw, rate=0.1)
    commands = setting.model.commands
    commands.assign(tf.fill(commands.shape, np.nan))
    before = setting.values()

    _, _, update = setting.change(draw, rate=0.1)

    assert not update.applied
    assert not np.isfinite(update.gradient_norm)
    for old, new in zip(before, setting.values(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_variables_without_an_optimizer_stay_as_they_are():
    setting = _Setting(frozen=("encoder",))
    batch = _batch(TEXT, (7, 5), 1)
    before = {v.name: v.numpy() for v in setting.model.trainable_variables}

    setting.change(setting.draw(TEXT, batch))

    for variable in setting.model.trainable_variables:
        is_same = np.array_equal(variable, before[variable.name])
        is_frozen = "encoder" in variable.name
        assert is_same or not is_frozen, variable.name
    assert any("encoder" in name for name in before)
    assert not np.array_equal(setting.variables[0], before[setting.variables[0].name])


def test_averages_of_the_weights_move_with_the_updates():
    setting = _Setting(ema_decay=0.9)
    before = [v.numpy() for v in setting.variables]

    setting.change(setting.draw(TEXT, _batch(TEXT, (7, 5), 1)))

    averages = setting.average.averages
    for variable, old in zip(setting.variables, before, strict=True):
        found = averages[initializers.key(variable)]
        expected = (2 / 11) * old + (9 / 11) * variable.numpy()
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with setting.updates.averaged():
        inside = setting.variables[0].numpy()
    np.testing.assert_array_equal(
        inside, averages[initializers.key(setting.variables[0])]
    )


def test_weights_decay_once_in_an_update():
    settings = dict(weight_decay=0.5, weight_decay_type="l2")
    batch = _batch(TEXT, (7, 5), 1)
    one, many = _Setting(**settings), _Setting(**settings)

    expected, *_ = one.change(one.draw(TEXT, batch), rate=0.1)
    found, *_ = many.change(many.draw(TEXT, batch, batch), rate=0.1)

    _check_equal(found, expected)


def test_batches_of_one_update_have_dropout_of_their_own():
    settings = dict(dropout=0.5)
    batch = _batch(TEXT, (7, 5), 1)
    one, many = _Setting(**settings), _Setting(**settings)

    _, (of_one,), _ = one.change(one.draw(TEXT, batch))
    _, (of_many,), _ = many.change(many.draw(TEXT, batch, batch))

    assert abs(of_one.loss - of_many.loss) > 1e-3
