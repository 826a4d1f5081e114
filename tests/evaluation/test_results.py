import json

from t2t_mm.evaluation.results import Results, format_table
from t2t_mm.evaluation.score import Interval, Score

BLEU = Score(
    value=23.456,
    higher_is_better=True,
    examples=9,
    interval=Interval(low=20.0, high=25.5),
    signature="x:1",
    details={"length_ratio": 0.9},
    decimals=2,
)
RESULTS = Results(
    problem="mini_ende",
    split="dev",
    checkpoint="ckpt-12",
    step=12,
    decode_options={"extra_length": 3},
    scores={
        "bleu": BLEU,
        "wer": Score(value=0.25, higher_is_better=False, examples=9),
    },
    metrics={"teacher_forced_token_accuracy": 0.5},
)


def test_the_table_has_a_line_for_every_number():
    assert format_table([RESULTS]).splitlines() == [
        "problem    score                           value  interval        better  how",
        "mini_ende  decoded_bleu                    23.46  20.00 to 25.50  higher  x:1",
        "mini_ende  decoded_wer                    0.2500                  lower",
        "mini_ende  teacher_forced_token_accuracy  0.5000",
    ]


def test_numbers_have_names_that_say_how_they_came_about():
    assert RESULTS.scalars() == {
        "decoded_bleu": 23.456,
        "decoded_wer": 0.25,
        "teacher_forced_token_accuracy": 0.5,
    }


def test_json_holds_everything():
    values = json.loads(json.dumps(RESULTS.to_json()))

    assert values["checkpoint"] == "ckpt-12"
    assert values["decode_options"] == {"extra_length": 3}
    assert values["scores"]["decoded_bleu"] == {
        "value": 23.456,
        "higher_is_better": True,
        "examples": 9,
        "interval": {"low": 20.0, "high": 25.5, "confidence": 0.95},
        "signature": "x:1",
        "details": {"length_ratio": 0.9},
    }
    assert values["metrics"] == {"teacher_forced_token_accuracy": 0.5}


def test_a_score_is_readable_on_one_line():
    assert str(BLEU) == (
        "23.46 (95 % interval 20.00 to 25.50; length_ratio 0.9; x:1; 9 examples)"
    )
    assert str(RESULTS.scores["wer"]) == "0.2500 (9 examples)"
