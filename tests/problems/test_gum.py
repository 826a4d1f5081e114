import parsing_corpora
import pytest

from t2t_mm import registry
from t2t_mm.features import Split


@pytest.mark.parametrize("folder", ["const", "."])
def test_documents_are_in_the_splits_of_the_corpus(tmp_path, folder):
    parsing_corpora.write_gum(tmp_path)
    problem = registry.problem("mini_parsing")
    problem.corpus_path = str(tmp_path / folder)

    found = {
        split: [sample["inputs"] for sample in problem.generate_samples("", "", split)]
        for split in Split
    }

    rows = parsing_corpora.SENTENCES
    assert found == {
        split: [parsing_corpora.sentence(**row) for row in part]
        for split, part in (
            (Split.TRAIN, rows[:100]),
            (Split.EVAL, rows[100:120]),
            (Split.TEST, rows[120:140]),
        )
    }
