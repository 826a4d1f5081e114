import itertools

import pytest

from t2t_mm import registry
from t2t_mm.features import EOS_ID, Split

registry.import_registrations()

OPERATIONS = ("addition", "multiplication")
NAMES = [
    *(
        f"algorithmic_{rule}_{base}40"
        for rule in ("identity", "reverse", *OPERATIONS)
        for base in ("binary", "decimal")
    ),
    "algorithmic_shift_decimal40",
    "algorithmic_sort_problem",
]


def samples(name, split, count=300):
    generated = registry.problem(name).generate_samples("", "", split)
    pairs = itertools.islice(generated, count)
    return [(pair["inputs"].split(), pair["targets"].split()) for pair in pairs]


def value(digits, base):
    return sum(int(digit) * base**place for place, digit in enumerate(digits))


@pytest.mark.parametrize("split", Split)
@pytest.mark.parametrize("name", NAMES)
def test_targets_follow_the_rule(name, split):
    base = 2 if "binary" in name else 10

    for inputs, targets in samples(name, split, count=50):
        if "identity" in name:
            assert targets == inputs
        elif "reverse" in name:
            assert targets == inputs[::-1]
        elif "shift" in name:
            assert [int(t) for t in targets] == [int(i) + 10 for i in inputs]
        elif "sort" in name:
            assert [int(t) for t in targets] == sorted(map(int, inputs))
        elif "addition" in name:
            place = inputs.index("+")
            first, second = inputs[:place], inputs[place + 1 :]
            assert value(targets, base) == value(first, base) + value(second, base)
        else:
            place = inputs.index("*")
            first, second = inputs[:place], inputs[place + 1 :]
            assert value(targets, base) == value(first, base) * value(second, base)


@pytest.mark.parametrize(
    ("name", "train_length", "test_length"),
    [
        ("algorithmic_identity_binary40", 40, 400),
        ("algorithmic_addition_decimal40", 40, 400),
        ("algorithmic_shift_decimal40", 40, 80),
        ("algorithmic_sort_problem", 10, 20),
    ],
)
def test_test_sequences_are_longer(name, train_length, test_length):
    lengths = {
        split: [len(inputs) for inputs, _ in samples(name, split)] for split in Split
    }

    assert 0.8 * train_length < max(lengths[Split.TRAIN]) <= train_length
    assert 0.8 * train_length < max(lengths[Split.EVAL]) <= train_length
    assert 0.8 * test_length < max(lengths[Split.TEST]) <= test_length


@pytest.mark.parametrize("operation", OPERATIONS)
def test_numbers_have_their_lowest_digit_first_and_no_zeros_in_front(operation):
    sign = {"addition": "+", "multiplication": "*"}[operation]

    for inputs, targets in samples(f"algorithmic_{operation}_decimal40", Split.TRAIN):
        place = inputs.index(sign)
        for number in (inputs[:place], inputs[place + 1 :], targets):
            assert number
            assert number[-1] != "0" or len(number) == 1


def test_arithmetic_by_hand():
    addition = registry.problem("algorithmic_addition_decimal40")
    product = registry.problem("algorithmic_multiplication_binary40")

    assert addition.transform("9 9 + 2") == "1 0 1"  # 99 + 2 = 101
    assert addition.transform("0 1 + 5 2") == "5 3"  # 10 + 25 = 35
    assert product.transform("0 1 1 * 1 1") == "0 1 0 0 1"  # 6 * 3 = 18


@pytest.mark.parametrize(
    ("name", "inputs", "ids", "vocab_size"),
    [
        ("algorithmic_identity_binary40", "1 0", [3, 2], 4),
        ("algorithmic_addition_binary40", "1 + 0", [3, 4, 2], 5),
        ("algorithmic_multiplication_decimal40", "9 * 0", [11, 12, 2], 13),
        ("algorithmic_shift_decimal40", "19 0", [21, 2], 22),
        ("algorithmic_sort_problem", "7 19", [9, 21], 22),
    ],
)
def test_every_symbol_is_an_id(name, inputs, ids, vocab_size):
    problem = registry.problem(name)

    assert problem.encode_inputs(inputs, "") == [*ids, EOS_ID]
    assert problem.decode_targets([*ids, EOS_ID, 2], "") == inputs
    for spec in problem.feature_specs("").values():
        assert spec.vocab_size == vocab_size


def test_a_symbol_of_another_problem_is_refused():
    problem = registry.problem("algorithmic_identity_binary40")

    with pytest.raises(ValueError, match=r"are 0 1, with spaces .*; got '2'"):
        problem.encode_inputs("0 2 1", "")


@pytest.mark.parametrize("name", ["algorithmic_reverse_binary40", "copy_digits"])
def test_no_inputs_are_in_two_splits(name):
    inputs = [
        {" ".join(inputs) for inputs, _ in samples(name, split, count=200)}
        for split in Split
    ]

    assert not inputs[0] & inputs[1] and not inputs[1] & inputs[2]
    assert not inputs[0] & inputs[2]


def test_the_digits_problems_stay_as_they_are():
    first = next(registry.problem("reverse_digits").generate_samples("", "", "train"))

    assert first == {"inputs": "8906381", "targets": "1836098"}
