import pytest

from t2t_mm import config_fields, hparam_range, registry
from t2t_mm.models.multimodel_hparams import MultiModelHParams


@pytest.fixture
def register(monkeypatch):
    """Returns a function that registers a range for the time of a test."""
    monkeypatch.setattr(
        registry.RANGED_HPARAMS, "_entries", dict(registry.RANGED_HPARAMS._entries)
    )
    return registry.register_ranged_hparams("of_the_test")


def _resolve():
    return hparam_range.resolve("of_the_test", MultiModelHParams)


def test_ranges_are_set_as_in_tensor2tensor(register):
    @register
    def my_range(rhp):
        rhp.set_float("learning_rate_constant", 0.1, 10, scale=rhp.LOG_SCALE)
        rhp.set_int("num_encoder_blocks", 2, 6)
        rhp.set_discrete("hidden_size", [256, 64, 128])
        rhp.set_categorical("kernel_sizes", [(3, 3, 5, 5), [3, 3, 7, 7]])

    ranges = _resolve()

    rate, blocks = ranges["learning_rate_constant"], ranges["num_encoder_blocks"]
    assert (rate.low, rate.high, rate.scale) == (0.1, 10, "log")
    assert (blocks.low, blocks.high, blocks.scale) == (2, 6, "linear")
    assert ranges["hidden_size"].choices == (64, 128, 256)
    assert ranges["kernel_sizes"].choices == ((3, 3, 5, 5), (3, 3, 7, 7))


@pytest.mark.parametrize(
    ("set_range", "message"),
    [
        (lambda rhp: rhp.set_float("dropuot", 0, 1), "Did you mean dropout"),
        (lambda rhp: rhp.set_float("hidden_size", 1, 2), "must be of type int"),
        (lambda rhp: rhp.set_categorical("optimizer", [3]), "must be of type str"),
        (lambda rhp: rhp.set_float("dropout", 0.2, 0.2), "to a larger one; got 0.2"),
        (
            lambda rhp: rhp.set_float("dropout", 0, 1, scale=rhp.LOG_SCALE),
            "from a number above 0",
        ),
        (lambda rhp: rhp.set_float("dropout", 0, 1, scale="cubic"), "got 'cubic'"),
        (
            lambda rhp: rhp.set_int("moe_k", 1, 9, scale=rhp.REVERSE_LOG_SCALE),
            "must be linear or log",
        ),
        (lambda rhp: rhp.set_discrete("moe_k", []), "must have a value"),
        (lambda rhp: None, "must set a range"),
        (
            lambda rhp: [rhp.set_int("moe_k", 1, 2), rhp.set_int("moe_k", 1, 3)],
            "set twice",
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(register, set_range, message):
    register(set_range)

    with pytest.raises(ValueError, match=message):
        _resolve()


def test_overrides_are_read_back_as_they_were():
    values = {
        "learning_rate_constant": 0.1 + 0.2,
        "hidden_size": 64,
        "kernel_sizes": (3, 3, 5, 5),
        "mixing": "a:1,b:2",
        "optimizer": "adam",
        "moe_balance": "none",
        "attention_type": "simple",
    }

    text = hparam_range.to_overrides(values)

    assert config_fields.parse_overrides(text, MultiModelHParams) == values


@pytest.mark.parametrize("name", ["optimizer_range", "multimodel_range"])
def test_ranges_that_ship_fit_their_models(name):
    registry.import_registrations()

    assert hparam_range.resolve(name, MultiModelHParams)
