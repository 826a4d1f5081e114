from t2t_mm.training import teacher_forced

ROW = {
    "accuracy": 0.5,
    "accuracy_per_sequence": 0.25,
    "neg_log_perplexity": -1.5,
    "loss": 2.0,
    "my_own": 7.0,
    "expert_load": {"encoder": [1.0]},
}


def test_metrics_of_sequences_say_that_they_see_true_targets():
    assert teacher_forced.rename(ROW, autoregressive=True) == {
        "teacher_forced_token_accuracy": 0.5,
        "teacher_forced_sequence_accuracy": 0.25,
        "teacher_forced_log_perplexity": 1.5,
        "teacher_forced_loss": 2.0,
        "teacher_forced_my_own": 7.0,
    }


def test_metrics_of_targets_without_a_before_do_not():
    """Their accuracies are those of the outputs, which have scores."""
    assert teacher_forced.rename(ROW, autoregressive=False) == {
        "log_perplexity": 1.5,
        "loss": 2.0,
        "my_own": 7.0,
    }
