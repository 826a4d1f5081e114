"""What a feature of a problem is: the words that both towers share.

An example of a problem has `targets` and, unless the problem is a language model,
`inputs`. A batch holds for each of the two

    inputs          [batch, ...]    padded with zeros to a static shape
    inputs_length   [batch] int32   how much of the first axis is data

and the same for `targets`. A row whose lengths are 0 is a filler that rounds a last
batch up; it reaches no loss and no metric. Id 0 is padding, id 1 ends a sequence.
"""

import dataclasses
import enum

PAD_ID = 0
EOS_ID = 1


class Split(enum.StrEnum):
    """Part of a dataset; the value is the word in its file names."""

    TRAIN = "train"
    EVAL = "dev"
    TEST = "test"


class SpaceId(enum.IntEnum):
    """What the values of a feature mean; numbered as Tensor2Tensor did.

    The id of the targets selects the command token that the decoder starts from.
    """

    GENERIC = 0
    IMAGE_LABEL = 1
    EN_CHR = 2
    EN_TOK = 3
    FR_CHR = 5
    FR_TOK = 6
    DE_CHR = 7
    DE_TOK = 8
    DIGIT_0 = 10
    DIGIT_1 = 11
    AUDIO_WAV = 12
    AUDIO_SPECTRAL = 13
    PARSE_CHR = 14
    PARSE_TOK = 15
    REAL = 24
    IMAGE = 25


NUM_SPACES = 32


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What one feature of a problem holds, and which modality embeds it.

    Attributes:
      modality: name of a registered modality, such as "symbol" or "image".
      vocab_size: number of ids or classes; None for real-valued features.
      vocabulary: name of the vocabulary of the ids; features with the same one share
        embeddings. None where ids have no vocabulary.
      space_id: what the values mean.
      shape: shape of one example after preprocessing; None for a length that varies.
      dtype: name of the TensorFlow dtype.
    """

    modality: str
    vocab_size: int | None = None
    vocabulary: str | None = None
    space_id: SpaceId = SpaceId.GENERIC
    shape: tuple[int | None, ...] = (None,)
    dtype: str = "int32"
