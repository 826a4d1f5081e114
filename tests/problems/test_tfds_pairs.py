import pytest

from t2t_mm import registry
from t2t_mm.data import tfds_source
from t2t_mm.features import Split
from t2t_mm.problem import Rejected

registry.import_registrations()

SAMPLE = {"en": "one ", "de": "eins", "fr": "un", "pt": "um", "tfds_id": "a"}


@pytest.mark.parametrize(
    ("name", "inputs", "targets"),
    [
        ("tfds_wmt14_ende", "one", "eins"),
        ("tfds_wmt14_enfr", "one", "un"),
        ("tfds_ted_pten", "um", "one"),
    ],
)
def test_each_problem_pairs_its_languages(monkeypatch, name, inputs, targets):
    monkeypatch.setattr(tfds_source, "samples", lambda *_: iter([SAMPLE]))

    samples = registry.problem(name).generate_samples("", "", Split.TRAIN)

    assert list(samples) == [{"inputs": inputs, "targets": targets, "name": "a"}]


def test_dev_is_called_validation(monkeypatch):
    asked = []

    def read(*arguments):
        asked.append(arguments)
        return iter([{**SAMPLE, "de": " "}])

    monkeypatch.setattr(tfds_source, "samples", read)
    problem = registry.problem("tfds_wmt14_ende")

    found = list(problem.generate_samples("", "tmp", Split.EVAL))

    assert asked == [("wmt14_translate/de-en", "validation", "tmp")]
    assert found == [Rejected(name="a", reason="blank line", harmless=True)]
