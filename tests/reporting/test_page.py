import html.parser

import pytest

from t2t_mm.evaluation.score import Score
from t2t_mm.reporting import page, samples

SCORE = Score(value=0.5, higher_is_better=True, examples=2)
NASTY = "<script>alert('&')</script>"


class _Checker(html.parser.HTMLParser):
    """Collects tags, texts and addresses; every tag must be closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts, self.sources = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def _check(text):
    checker = _Checker()
    checker.feed(text)
    assert checker.open == []
    return checker


@pytest.fixture
def make_page():
    def make(**changes):
        sample = samples.Sample(NASTY, None, "two", "three")
        picture = samples.Sample("", "samples/b-0.png", "cat", "cat")
        values = dict(
            title="multimodel, tiny",
            checkpoint="ckpt-7",
            split="dev",
            latest={
                "a": {"step": 7, "problem": "a", "split": "dev", "accuracy": 0.25},
                "b": {"step": 7, "problem": "b", "split": "dev", "accuracy_top5": 1.0},
            },
            samples={
                "a": samples.ProblemSamples([sample], {"exact": SCORE}),
                "b": samples.ProblemSamples([picture], {}, "samples/b-confusions.png"),
            },
            overview="overview.png",
            charts={"a": "curves/a.png"},
            experts="experts.png",
            settings={"hidden_size": 12},
        )
        return page.Page(**values | changes)

    return make


def test_texts_are_escaped(make_page):
    checker = _check(page.render(make_page(title=NASTY)))

    assert "script" not in checker.tags
    assert checker.texts.count(NASTY) == 3  # title, heading, sample


def test_pictures_lie_beside_the_page(make_page):
    sources = _check(page.render(make_page())).sources

    assert [s for s in sources if not s.startswith("#")] == [
        "overview.png",
        "experts.png",
        "curves/a.png",
        "samples/b-confusions.png",
        "samples/b-0.png",
    ]


def test_samples_are_marked(make_page):
    texts = _check(page.render(make_page())).texts

    assert texts.count("right") == 1
    assert texts.count("wrong") == 1


def test_scores_stand_above_the_samples(make_page):
    assert "exact 0.5000 (2 examples)" in _check(page.render(make_page())).texts


def test_a_page_without_history_says_so(make_page):
    bare = make_page(latest={}, overview=None, charts={}, experts=None)

    texts = _check(page.render(bare)).texts

    assert "The run has not been evaluated yet." in texts
    assert "Load of the experts" not in texts


def test_metrics_have_a_column_each(make_page):
    checker = _check(page.metrics_table(make_page().latest))

    words = [text for text in checker.texts if text.strip()]
    assert words[:4] == ["problem", "step", "accuracy", "accuracy_top5"]
    assert words[4:] == ["a", "7", "0.2500", "b", "7", "1.0000"]


def test_loads_are_no_metric():
    table = page.metrics_table({"a": {"step": 1, "expert_load": {"x": [1.0]}}})

    assert "expert_load" not in table
