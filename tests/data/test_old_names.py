from t2t_mm.data import generation, old_names, text_problem


class _OldStyle(text_problem.Text2TextProblem):
    name = "old_style"
    vocab_type = "byte"

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        yield {"inputs": "a", "targets": "b"}

    def eval_metrics(self):
        return ["accuracy"]


def test_what_has_no_effect_is_said_once_when_data_is_made(tmp_path, caplog):
    folder = str(tmp_path)

    generation.generate(_OldStyle(), folder, folder)

    (remark,) = [r.message for r in caplog.records if "Tensor2Tensor" in r.message]
    assert remark == (
        "datagen | `eval_metrics` of _OldStyle is Tensor2Tensor's and has no effect "
        "here. Instead: name `metrics`."
    )


def test_nothing_here_has_a_name_without_effect():
    assert list(old_names.remarks(text_problem.Text2TextProblem)) == []
    assert list(old_names.remarks(text_problem.Text2ClassProblem)) == []
