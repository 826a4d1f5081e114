import pytest

from t2t_mm.layers import compilation


def test_layers_choose_their_form_for_xla_inside_the_context_only():
    assert not compilation.is_for_xla()
    with compilation.tracing_for_xla():
        assert compilation.is_for_xla()
        with compilation.tracing_for_xla(False):
            assert not compilation.is_for_xla()
        assert compilation.is_for_xla()

    assert not compilation.is_for_xla()


def test_an_error_inside_the_context_ends_it():
    with pytest.raises(KeyError), compilation.tracing_for_xla():
        raise KeyError

    assert not compilation.is_for_xla()


def test_a_cpu_is_no_accelerator():
    with compilation.tracing_for_xla():
        assert not compilation.is_for_accelerator()


@pytest.mark.parametrize(
    ("platform", "expected"), [("CPU", False), ("GPU", True), ("TPU", True)]
)
def test_layers_choose_their_form_for_where_the_program_will_run(platform, expected):
    with compilation.compiling_elsewhere(platform):
        assert not compilation.is_for_accelerator()
        with compilation.tracing_for_xla():
            assert compilation.is_for_accelerator() == expected
