"""Problems over digits that are made up, for tests, first steps and research.

The problems called algorithmic_* are those of Tensor2Tensor: training sequences have up
to 40 symbols, and each symbol is an id of its own. Dev has sequences as long as those
of training, so that its curve shows whether the task is learned; test has sequences up
to ten times as long, which shows whether the rule was (Tensor2Tensor called that dev).
Texts have spaces between the symbols: "1 0 1 + 1 1".
"""

import abc
import hashlib
import operator
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import text_encoder, text_problem
from t2t_mm.features import EOS_ID, FeatureSpec, SpaceId, Split

MAX_DIGITS = 20  # of copy_digits and reverse_digits


class _MadeUpProblem(problem.Problem):
    """Random inputs, and something made of them.

    Attributes:
      num_examples: how many each split has.
    """

    num_examples: ClassVar[Mapping[Split, int]]
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "accuracy_per_sequence",
        "neg_log_perplexity",
    )

    @property
    def dataset_splits(self) -> list[dict[str, object]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": problem.DatasetSplit.TRAIN, "shards": 2},
            {"split": problem.DatasetSplit.EVAL, "shards": 1},
            {"split": problem.DatasetSplit.TEST, "shards": 1},
        ]

    @abc.abstractmethod
    def draw(self, stream: random.Random, split: Split) -> str:
        """Returns random inputs."""

    @abc.abstractmethod
    def transform(self, inputs: str) -> str:
        """Returns the targets of `inputs`."""

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, str]]:
        """Yields inputs and targets; the same inputs are in one split only."""
        split = Split(dataset_split)
        stream = random.Random(f"{self.random_seed}/{split}")
        remaining = self.num_examples[split]
        while remaining:
            inputs = self.draw(stream, split)
            if _split_of(inputs) == split:
                remaining -= 1
                yield {"inputs": inputs, "targets": self.transform(inputs)}


def _split_of(inputs: str) -> Split:
    """Deals texts to splits by a hash, so that no text is in two of them."""
    last_byte = hashlib.sha256(inputs.encode()).digest()[-1]
    return {0: Split.EVAL, 1: Split.TEST}.get(last_byte % 10, Split.TRAIN)


class _DigitsProblem(_MadeUpProblem, text_problem.Text2TextProblem):
    """Strings of 1 to `MAX_DIGITS` digits, as bytes."""

    vocab_type = text_problem.VocabType.BYTE
    num_examples = {Split.TRAIN: 2000, Split.EVAL: 200, Split.TEST: 200}

    def draw(self, stream: random.Random, split: Split) -> str:
        """Returns random digits."""
        length = stream.randint(1, MAX_DIGITS)
        return "".join(stream.choices("0123456789", k=length))


@registry.register_problem("copy_digits")
class CopyDigits(_DigitsProblem):
    """The targets are the inputs."""

    def transform(self, inputs: str) -> str:
        """Returns `inputs`."""
        return inputs


@registry.register_problem("reverse_digits")
class ReverseDigits(_DigitsProblem):
    """The targets are the inputs from back to front."""

    def transform(self, inputs: str) -> str:
        """Returns `inputs` from back to front."""
        return inputs[::-1]


class AlgorithmicProblem(_MadeUpProblem):
    """Sequences of symbols, and what an algorithm makes of them.

    Attributes:
      base: inputs are drawn from the numbers below it.
      more_symbols: symbols that come after those in the numbering.
      train_length: most symbols of training and dev inputs.
      test_length: most symbols of test inputs.
    """

    base: ClassVar[int]
    more_symbols: ClassVar[tuple[str, ...]] = ()
    train_length: ClassVar[int] = 40
    test_length: ClassVar[int] = 400
    num_examples = {Split.TRAIN: 100_000, Split.EVAL: 10_000, Split.TEST: 10_000}
    batch_size_means_tokens: ClassVar[bool] = True

    @property
    def symbols(self) -> tuple[str, ...]:
        """All symbols, in the order of their ids."""
        return (*map(str, range(self.base)), *self.more_symbols)

    @abc.abstractmethod
    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns the targets of inputs."""

    def transform(self, inputs: str) -> str:
        """Returns the targets of `inputs`."""
        return " ".join(self.transform_symbols(inputs.split()))

    def draw(self, stream: random.Random, split: Split) -> str:
        """Returns as many random symbols as the split may have, or fewer."""
        longest = self.test_length if split == Split.TEST else self.train_length
        return " ".join(self.draw_symbols(stream, longest))

    def draw_symbols(self, stream: random.Random, longest: int) -> list[str]:
        """Returns 1 to `longest` random symbols."""
        return stream.choices(self.symbols[: self.base], k=stream.randint(1, longest))

    def encode_inputs(self, value: str, data_dir: str) -> list[int]:
        """Returns an id per symbol, and the one that ends a sequence.

        Raises:
          ValueError: for a symbol that the problem does not have.
        """
        first = text_encoder.NUM_RESERVED_IDS
        ids = {symbol: token_id for token_id, symbol in enumerate(self.symbols, first)}
        try:
            return [*map(ids.__getitem__, value.split()), EOS_ID]
        except KeyError as error:
            raise ValueError(
                f"The symbols of {self.name} are {' '.join(ids)}, with spaces between "
                f"them; got {error}."
            ) from None

    def encode_targets(self, value: str, data_dir: str) -> list[int]:
        """Returns an id per symbol, and the one that ends a sequence."""
        return self.encode_inputs(value, data_dir)

    def decode_targets(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns predicted symbols with spaces between them."""
        first = text_encoder.NUM_RESERVED_IDS
        kept = text_encoder.strip_reserved(ids)
        return " ".join(self.symbols[token_id - first] for token_id in kept)

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns the spec of the input ids."""
        return self._spec(SpaceId.DIGIT_0)

    def targets_spec(self, data_dir: str) -> FeatureSpec:
        """Returns the spec of the target ids."""
        return self._spec(SpaceId.DIGIT_1)

    def _spec(self, space_id: SpaceId) -> FeatureSpec:
        num_symbols = len(self.symbols)
        return FeatureSpec(
            modality="symbol",
            vocab_size=text_encoder.NUM_RESERVED_IDS + num_symbols,
            # An id is the same number in all problems that have as many.
            vocabulary=f"symbols.{num_symbols}",
            space_id=space_id,
        )


@registry.register_problem("algorithmic_identity_binary40")
class AlgorithmicIdentityBinary40(AlgorithmicProblem):
    """The targets are the inputs; digits 0 and 1."""

    base = 2

    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns `symbols`."""
        return symbols


@registry.register_problem("algorithmic_identity_decimal40")
class AlgorithmicIdentityDecimal40(AlgorithmicIdentityBinary40):
    """The targets are the inputs; digits 0 to 9."""

    base = 10


@registry.register_problem("algorithmic_reverse_binary40")
class AlgorithmicReverseBinary40(AlgorithmicProblem):
    """The targets are the inputs from back to front; digits 0 and 1."""

    base = 2

    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns `symbols` from back to front."""
        return symbols[::-1]


@registry.register_problem("algorithmic_reverse_decimal40")
class AlgorithmicReverseDecimal40(AlgorithmicReverseBinary40):
    """The targets are the inputs from back to front; digits 0 to 9."""

    base = 10


@registry.register_problem("algorithmic_shift_decimal40")
class AlgorithmicShiftDecimal40(AlgorithmicProblem):
    """Each target is its input and ten; test sequences have up to 80 symbols."""

    base = 10
    more_symbols = tuple(map(str, range(10, 20)))
    test_length = 80

    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns the numbers that are ten larger."""
        return [str(int(symbol) + self.base) for symbol in symbols]


class _ArithmeticProblem(AlgorithmicProblem):
    """Two numbers and an operator; a number has its lowest digit first.

    Attributes:
      operate: what the operator does.
    """

    operate: ClassVar[Callable[[int, int], int]]

    def draw_symbols(self, stream: random.Random, longest: int) -> list[str]:
        """Returns two numbers of random lengths with the operator between them."""
        first_length = stream.randint(1, longest // 2)
        second_length = stream.randint(1, longest - first_length - 1)
        return [
            *self._draw_number(stream, first_length),
            *self.more_symbols,
            *self._draw_number(stream, second_length),
        ]

    def _draw_number(self, stream: random.Random, length: int) -> list[str]:
        """Returns digits, of which the last, highest, is 0 only if it is alone."""
        digits = self.symbols[: self.base]
        highest = stream.choice(digits[1:] if length > 1 else digits)
        return [*stream.choices(digits, k=length - 1), highest]

    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns the digits of the result."""
        (operator_symbol,) = self.more_symbols
        middle = symbols.index(operator_symbol)
        numbers = (symbols[:middle], symbols[middle + 1 :])
        first, second = (int("".join(n[::-1]), self.base) for n in numbers)
        result = type(self).operate(first, second)
        return list(format(result, {2: "b", 10: "d"}[self.base])[::-1])


@registry.register_problem("algorithmic_addition_binary40")
class AlgorithmicAdditionBinary40(_ArithmeticProblem):
    """The sum of two binary numbers."""

    base = 2
    more_symbols = ("+",)
    operate = operator.add


@registry.register_problem("algorithmic_addition_decimal40")
class AlgorithmicAdditionDecimal40(AlgorithmicAdditionBinary40):
    """The sum of two decimal numbers."""

    base = 10


@registry.register_problem("algorithmic_multiplication_binary40")
class AlgorithmicMultiplicationBinary40(_ArithmeticProblem):
    """The product of two binary numbers."""

    base = 2
    more_symbols = ("*",)
    operate = operator.mul


@registry.register_problem("algorithmic_multiplication_decimal40")
class AlgorithmicMultiplicationDecimal40(AlgorithmicMultiplicationBinary40):
    """The product of two decimal numbers."""

    base = 10


@registry.register_problem("algorithmic_sort_problem")
class AlgorithmicSortProblem(AlgorithmicProblem):
    """Up to 10 numbers (in test 20) of 0 to 19 in their order."""

    base = 20
    train_length = 10
    test_length = 20

    def transform_symbols(self, symbols: list[str]) -> list[str]:
        """Returns the numbers from the smallest on."""
        return sorted(symbols, key=int)
