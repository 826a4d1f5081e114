from t2t_mm.training import evaluation


def test_columns_of_the_table_stand_under_their_names():
    results = {
        "copy_digits": {"loss": 0.25, "accuracy": 0.5, "expert_load": {"moe": [1.0]}},
        "x": {"loss": 3.5},
    }

    table = evaluation.format_table(results)

    assert table.splitlines() == [
        "problem      accuracy    loss",
        "copy_digits    0.5000  0.2500",
        "x                      3.5000",
    ]
