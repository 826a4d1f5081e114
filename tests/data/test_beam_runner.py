"""What Beam makes is what is made without it; skipped where Beam is not installed."""

import importlib
import os
import pathlib
import pickle
import sys
import textwrap

import pytest

from t2t_mm import registry
from t2t_mm.data import chunks, generation, manifest
from t2t_mm.data.options import GenerationOptions

pytest.importorskip("apache_beam")
pytestmark = pytest.mark.filterwarnings("default")  # Beam has many

ROOT = pathlib.Path(__file__).resolve().parents[2]
IN_MEMORY = ("--runner=FnApiRunner", "--direct_running_mode=in_memory")
TWO_WORKERS = (
    "--runner=FnApiRunner",
    "--direct_running_mode=multi_processing",
    "--direct_num_workers=2",
)

MODULE = '''
    """Problems that only this module knows, as the modules of a user."""

    import os
    import pathlib
    import random

    from t2t_mm import problem
    from t2t_mm.data import text_problem
    from t2t_mm.features import Split


    class Numbers(text_problem.Text2TextProblem):
        """Random numbers in parts; every 7th is left out."""

        name = "beam_numbers"
        approx_vocab_size = 300
        dataset_splits = (
            {"split": Split.TRAIN, "shards": 3},
            {"split": Split.EVAL, "shards": 2},
        )

        def sample_parts(self, data_dir, tmp_dir, dataset_split):
            return ["one", "two", "three"]

        def generate_part(self, data_dir, tmp_dir, dataset_split, part):
            for number in range(200):
                if number % 7 == 6:
                    yield problem.Rejected(
                        name=f"{part} {number}", reason="a 7th", harmless=True
                    )
                    continue
                text = f"{part} {dataset_split} {random.random()}"
                yield {"inputs": text, "targets": text[::-1]}

        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            for part in self.sample_parts(data_dir, tmp_dir, dataset_split):
                yield from self.generate_part(data_dir, tmp_dir, dataset_split, part)

        def encode(self, sample, data_dir):
            pids = os.environ.get("T2T_PIDS")
            if pids:
                pathlib.Path(pids, str(os.getpid())).touch()
            return super().encode(sample, data_dir)


    class Dealt(Numbers):
        """One stream for all splits, of which some shards get nothing."""

        name = "beam_dealt"
        vocab_type = "byte"
        is_generate_per_split = False
        dataset_splits = (
            {"split": Split.TRAIN, "shards": 40},
            {"split": Split.EVAL, "shards": 2},
        )

        def sample_parts(self, data_dir, tmp_dir, dataset_split):
            return [""]

        def generate_part(self, data_dir, tmp_dir, dataset_split, part):
            for number in range(90):
                yield {"inputs": str(number), "targets": str(-number)}


    class Bad(Numbers):
        """Comes to an end that nobody expects."""

        name = "beam_bad"
        vocab_type = "byte"

        def generate_part(self, data_dir, tmp_dir, dataset_split, part):
            yield {"inputs": "a", "targets": "b"}
            raise OSError("the corpus has caught fire")
'''


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    (folder / "beam_test_problems.py").write_text(textwrap.dedent(MODULE))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        # Workers find this package, as if it were installed, but not the module.
        patch.setenv("PYTHONPATH", str(ROOT))
        module = importlib.import_module("beam_test_problems")
        entries = {cls.name: cls for cls in (module.Numbers, module.Dealt, module.Bad)}
        patch.setattr(registry.PROBLEMS, "_entries", entries)
        yield
    del sys.modules["beam_test_problems"]


def make(name, folder, **options):
    return generation.generate(
        registry.problem(name), str(folder), str(folder), GenerationOptions(**options)
    )


def assert_same_files(folder, other):
    names = sorted(os.listdir(folder))
    assert sorted(os.listdir(other)) == names
    for name in names:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("beam_numbers", {}),
        ("beam_numbers", {"max_cases": 250}),  # ends in the second part
        ("beam_numbers", {"random_seed": 1}),
        ("beam_dealt", {}),
    ],
)
def test_beam_makes_the_same_files(name, options, problems, tmp_path):
    here, on_beam = tmp_path / "here", tmp_path / "beam"
    made = make(name, here, **options)
    again = make(name, on_beam, beam_arguments=IN_MEMORY, **options)

    assert again == made
    assert_same_files(here, on_beam)
    if name == "beam_dealt":
        counts = [shard.count for shard in made.splits["train"].shards]
        assert 0 in counts


def test_two_worker_processes_make_the_same_files(problems, tmp_path, monkeypatch):
    here, on_beam, pids = (tmp_path / name for name in ("here", "beam", "pids"))
    pids.mkdir()
    make("beam_numbers", here)
    monkeypatch.setenv("T2T_PIDS", str(pids))
    make("beam_numbers", on_beam, beam_arguments=TWO_WORKERS)

    assert_same_files(here, on_beam)
    workers = {int(path.name) for path in pids.iterdir()}
    assert len(workers) == 2
    assert os.getpid() not in workers


def test_shards_come_back_from_a_folder_of_the_workers(problems, tmp_path):
    here, on_beam, work = (tmp_path / name for name in ("here", "beam", "work"))
    work.mkdir()
    make("beam_numbers", here)
    make("beam_numbers", on_beam, beam_arguments=IN_MEMORY, beam_dir=str(work))

    assert_same_files(here, on_beam)
    assert list(work.iterdir()) == []


def test_what_beam_made_is_up_to_date_without_it(problems, tmp_path):
    make("beam_numbers", tmp_path, beam_arguments=IN_MEMORY)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("beam_*")}
    made = make("beam_numbers", tmp_path)

    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.glob("beam_*")}
    assert "one 6" in str(made.rejected["train"])


def test_a_failure_of_the_problem_is_told_and_leaves_no_data(problems, tmp_path):
    with pytest.raises(ValueError, match="beam_bad failed.*caught fire"):
        make("beam_bad", tmp_path, beam_arguments=IN_MEMORY)

    assert manifest.load("beam_bad", str(tmp_path)) is None
    incomplete = tmp_path / "beam_bad.incomplete"
    assert not incomplete.exists() or os.listdir(incomplete) == ["wanted.json"]


def test_a_worker_with_another_vocabulary_gets_the_right_one(tmp_path):
    beam_steps = importlib.import_module("t2t_mm.data.beam_steps")
    encoder = chunks.Encoder(
        problem=registry.problem("copy_digits"),
        data_dir=str(tmp_path),
        tmp_dir=str(tmp_path),
        folder=str(tmp_path),
        options=GenerationOptions(),
    )
    job = beam_steps.Job(
        encoder=pickle.dumps(encoder),
        vocabulary={"vocab.some.subwords": b"right"},
        module_path=(),
        work_dir=str(tmp_path),
    )
    (tmp_path / "vocab.some.subwords").write_bytes(b"other")

    loaded = job.load_encoder()

    found = pathlib.Path(loaded.data_dir, "vocab.some.subwords")
    assert found.read_bytes() == b"right"
    (tmp_path / "vocab.some.subwords").write_bytes(b"right")
    assert job.load_encoder().data_dir == str(tmp_path)
