import pytest

EIGHT = [f"problem_{number}" for number in range(7)] + ["pictures_to_class"]


@pytest.fixture
def make_rows():
    """Returns a function that makes the history of a run of 300 steps."""

    def make(problems):
        rows = []
        for number, problem in enumerate(problems):
            for step in (100, 200, 300):
                loss = 5.0 - step / 100 + 0.1 * number
                train = {"step": step, "problem": problem, "split": "train"}
                rows.append(train | {"loss": loss, "learning_rate": 0.1})
            for step in (150, 300):
                dev = {"step": step, "problem": problem, "split": "dev"}
                dev |= {"accuracy": step / 400, "neg_log_perplexity": -2.5}
                load = {"encoder_experts": [0.25, 0.0, 0.75]}
                if problem != "pictures_to_class":
                    dev["accuracy_per_sequence"] = step / 800
                    load["decoder_experts"] = [0.5, 0.125, 0.375]
                rows.append(dev | {"expert_load": load})
        return rows

    return make


@pytest.fixture(params=[["problem_0"], EIGHT], ids=["one", "eight"])
def problems(request):
    return request.param
