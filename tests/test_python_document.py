"""docs/python.md and the score of docs/evaluation.md, run as they stand."""

import documents
import pytest

from t2t_mm import registry
from t2t_mm.evaluation import scores
from t2t_mm.evaluation.predictions import Predictions

SMALLER = (
    "--hparams=hidden_size=16,num_heads=2,moe_num_experts=2,moe_k=1,moe_filter_size=8,"
    "num_encoder_blocks=1,encoder_moe_after=1,num_mixer_blocks=0,num_decoder_blocks=1,"
    "decoder_moe_after=1,max_buckets=1"
)
FLAGS = {"t2t-datagen": ["--max_cases=30"], "t2t-trainer": [SMALLER, "--train_steps=2"]}


@pytest.mark.slow
def test_the_python_of_the_document_runs(tmp_path, registrations, capsys):
    with documents.reader_in(tmp_path, []):
        for block in documents.blocks("python.md", "sh"):
            for line in documents.lines(block):
                documents.run(line, FLAGS[line.split()[0]])
        names = {}
        for block in documents.blocks("python.md", "python"):
            exec(compile(block, "docs/python.md", "exec"), names)

    assert names["model"].problems == ["copy_digits", "miniworld_class"]
    assert len(names["outputs"]) == 1
    assert 1 <= len(names["beams"]) <= 4
    assert names["name"] in registry.problem("miniworld_class").class_names
    assert [score.num_ids for score in names["given"]] == [6, 4]
    assert names["found"]["exact"].value == 0.5
    assert "rouge" not in capsys.readouterr().err


def test_the_score_of_the_document_counts_words(monkeypatch):
    monkeypatch.setattr(registry.SCORES, "_entries", {})
    (block,) = documents.blocks("evaluation.md", "python")

    exec(compile(block, "docs/evaluation.md", "exec"), {})

    predictions = Predictions.of_pairs([("a b", "c d"), ("a b", "c")])
    assert scores.score(["as_long"], predictions)["as_long"].value == 0.5
