"""Hyperparameters and the one path that overrides them.

    dataclass defaults -> set function -> gin files -> gin bindings -> --hparams

Later wins. The first two are Python; gin is the store of everything after them, and
`--hparams="k=v,..."` is another spelling of a gin binding. The result is a frozen,
checked dataclass; a name, a type or a binding that would have no effect is an error.
"""

import ast
import contextlib
import dataclasses
import difflib
import math
import pathlib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gin

from t2t_mm import registry

_ACTIVATION_DTYPES = ("float32", "bfloat16")
IMAGE_NETS = ("xception", "small", "patch")
CLASS_LABEL_NETS = ("paper", "release", "release_1d", "mean")
OPTIMIZERS = ("adafactor", "adam", "lazy_adam", "momentum")
WEIGHT_DECAY_TYPES = ("decoupled", "l2", "l2_mean")
_ADAFACTOR_DECAY_TYPES = ("pow", "adam")
# Names that Tensor2Tensor had, and how to say the same here.
_OTHER_OPTIMIZERS = {
    "adam_w": "optimizer=adam with weight_decay above 0",
    "adamw": "optimizer=adam with weight_decay above 0",
    "multistep_adam": "optimizer=adam with batches_per_update above 1",
    "sgd": "optimizer=momentum with optimizer_momentum_momentum=0",
    "true_adam": "optimizer=adam",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class HParams:
    """Hyperparameters that every model and the trainer read; models add fields.

    Attributes:
      mixing: how often each problem is drawn; see `data/mixing.py`. No effect with one
        problem.
      problem_loss_weights: "problem:weight,..."; the losses of others count once.
      problem_learning_rates: "problem:factor,..." of the learning rate in steps of a
        problem; 1 for others.
      problem_batch_sizes: "problem:size,..." in place of `batch_size` or
        `batch_examples`, whichever the problem reads.
      problems_per_update: problems drawn for every step; the step goes down the
        gradient of the mean of their losses. A problem may be drawn twice.
      batches_per_update: batches of every problem drawn; together they count as one
        large batch.
      batch_size: tokens per step of problems whose lengths vary (text).
      batch_examples: examples per step of problems that are not batched by tokens.
      max_buckets: largest number of static shapes per problem.
      max_input_length: longer inputs are left out of training; in tokens or frames.
      max_target_length: longer targets are left out of training; in tokens.
      hidden_size: depth of every position in the body.
      dropout: probability of zeroing a unit, in training only.
      activation_dtype: "float32" or "bfloat16"; variables and losses stay float32.
      remat: do not keep what the layers of the body compute inside for the backward
        pass, but compute it again there: less memory, a third to a half more time.
      shared_embedding_and_softmax_weights: one table for input, target and softmax.
      image_net: how pixels become positions. "xception": the paper's entry flow;
        "small": one 3x3 step and nothing else, as the first release for 32x32 pixels;
        "patch": a linear map of patches that do not overlap, with a 2-D timing signal.
      image_stem_filters: channels of the two convolutions that read pixels. This and
        the next fields, up to `image_filters`, have an effect with "xception" alone, if
        they do not say otherwise.
      image_stem_stride: stride of the first, and of the only one of "small"; 1 for
        small images.
      image_stem_separable: these convolutions and the shortcuts of the residual blocks
        are separable, as the paper's equations; else ordinary, as the first release.
      image_stem_relu: a ReLU comes before every convolution, also before pixels and in
        every shortcut, as the paper's equations; else pixels have none and only the
        first shortcut has one, as the first release.
      image_filters: channels of the residual blocks after them, at most
        `hidden_size`; every block halves the image, and so does a last one.
      image_patch_size: pixels along a side of a patch, with "patch" alone.
      audio_filters: channels of the residual blocks that read a sound.
      audio_time_stride: frames or samples per position, a power of 2.
      audio_merge_bins: make all frequencies of a frame one position.
      audio_shortcut_separable: shortcuts of the residual blocks are separable, as the
        paper's equations; else ordinary, as the first release.
      audio_shortcut_relu: the last block's shortcut has a ReLU like the others, as the
        paper's equations; else it has none, as the first release. No effect with
        `audio_merge_bins`, which has no such block.
      audio_pad_to_stride: lengthen sounds with silence to a multiple of
        `audio_time_stride`, so that no result depends on how far a batch is padded;
        the first release did not.
      augment_audio_time_warp: in training, spectrograms last longer or shorter by a
        random share of at most this; 0 for none. These fields have no effect on sounds
        that are not spectrograms.
      augment_audio_frequency_warp: likewise, frequencies are higher or lower.
      augment_audio_time_masks: stretches of time that are masked in each spectrogram.
      augment_audio_time_mask_share: of the frames of a sound, the widest stretch.
      augment_audio_frequency_masks: bands of frequencies that are masked in each.
      augment_audio_frequency_mask_bins: bins of the widest band.
      augment_image_flip: in training, turn half of the images left to right; not for
        what has a left and a right, such as digits.
      augment_image_shift: pixels by which images are moved at most, up or down and left
        or right; 0 for none.
      class_label_net: how positions become classes. "paper": its equations;
        "release": the first release's widths, ordinary shortcut and missing ReLU;
        "release_1d": the same over a sequence, causal with kernels of 5 and stride 4,
        images row by row; "mean": the mean of all positions, as Tensor2Tensor later.
      class_label_filters: channels of the second step and the shortcut, of the third
        step and of the fourth. No effect with "mean".
      class_label_count_padding: the mean of the last step includes padding, so that
        classes depend on how far a batch is padded, as in the first release.
      label_smoothing: probability mass spread over the wrong classes, in training.
      optimizer: "adam"; "lazy_adam", which leaves rows of embedding tables alone that
        the batch does not name; "adafactor" or "momentum".
      optimizer_adam_beta1: decay of the first moment.
      optimizer_adam_beta2: decay of the second moment.
      optimizer_adam_epsilon: added to the root of the second moment.
      optimizer_adafactor_beta1: decay of the first moment; 0 for none, which saves its
        memory.
      optimizer_adafactor_beta2: decay of the second moment, with "adam" below.
      optimizer_adafactor_decay_type: "pow": the decay is 1 - updates^-exponent; "adam":
        `optimizer_adafactor_beta2`, with Adam's correction for the start.
      optimizer_adafactor_memory_exponent: the exponent of "pow".
      optimizer_adafactor_clipping_threshold: largest root mean square of an update
        before it is scaled; 0 for no limit.
      optimizer_adafactor_factored: keep means of rows and of columns of the second
        moment of matrices in place of all of it.
      optimizer_adafactor_multiply_by_parameter_scale: the learning rate is relative to
        the root mean square of each variable.
      optimizer_momentum_momentum: decay of the sum of gradients; 0 for plain descent.
      optimizer_momentum_nesterov: look ahead, as Nesterov.
      learning_rate_schedule: factors joined by "*"; see `training/learning_rate.py`.
      learning_rate_constant: value of the factor "constant". This and the next four
        have an effect if the schedule has a factor that reads them.
      learning_rate_warmup_steps: steps of linear warm-up.
      learning_rate_decay_steps: steps that a decay takes; 0 for the number of training
        steps.
      learning_rate_decay_rate: what the factor "exp_decay" multiplies by in these.
      learning_rate_decay_staircase: do so at once after them, not little by little.
      learning_rate: with the factor "legacy" only, as are the next fields.
      learning_rate_decay_scheme: what follows the warm-up of "legacy".
      learning_rate_boundaries: last steps before the changes of "piecewise".
      learning_rate_multiples: factors after these steps.
      learning_rate_cosine_cycle_steps: steps from the top to the bottom of "cosine".
      learning_rate_factors: "pattern:factor,..." for variables whose names, without the
        model's, match: "encoder*:0.1,*/layer_norm/*:2". The last that matches counts;
        0 keeps a variable as it is. See `training/learning_rate.py`.
      clip_grad_norm: largest global gradient norm; 0 for no clipping.
      weight_decay: decay of variables in every step in which they have a gradient.
      weight_decay_type: "decoupled": of matrices, times the learning rate (Loshchilov
        and Hutter 2019); "l2": a loss of half the sum of squares of all but biases, as
        late Tensor2Tensor; "l2_mean": the same as a mean over each matrix, as its first
        releases.
      ema_decay: evaluate and decode with a moving average of the weights of this decay
        per update; 0 for none.
    """

    mixing: str = "proportional"
    problem_loss_weights: str = ""
    problem_learning_rates: str = ""
    problem_batch_sizes: str = ""
    problems_per_update: int = 1
    batches_per_update: int = 1
    batch_size: int = 2048
    batch_examples: int = 32
    max_buckets: int = 6
    max_input_length: int = 1000
    max_target_length: int = 256
    hidden_size: int = 512
    dropout: float = 0.1
    activation_dtype: str = "float32"
    remat: bool = False
    shared_embedding_and_softmax_weights: bool = False
    image_net: str = "xception"
    image_stem_filters: tuple[int, ...] = (32, 64)
    image_stem_stride: int = 2
    image_stem_separable: bool = False
    image_stem_relu: bool = False
    image_filters: tuple[int, ...] = (128, 256)
    image_patch_size: int = 16
    audio_filters: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256)
    audio_time_stride: int = 512
    audio_merge_bins: bool = False
    audio_shortcut_separable: bool = False
    audio_shortcut_relu: bool = False
    audio_pad_to_stride: bool = True
    augment_audio_time_warp: float = 0.0
    augment_audio_frequency_warp: float = 0.0
    augment_audio_time_masks: int = 0
    augment_audio_time_mask_share: float = 0.1
    augment_audio_frequency_masks: int = 0
    augment_audio_frequency_mask_bins: int = 8
    augment_image_flip: bool = False
    augment_image_shift: int = 0
    class_label_net: str = "paper"
    class_label_filters: tuple[int, ...] = (1024, 1536, 2048)
    class_label_count_padding: bool = False
    label_smoothing: float = 0.1
    optimizer: str = "adam"
    optimizer_adam_beta1: float = 0.9
    optimizer_adam_beta2: float = 0.98
    optimizer_adam_epsilon: float = 1e-9
    optimizer_adafactor_beta1: float = 0.0
    optimizer_adafactor_beta2: float = 0.999
    optimizer_adafactor_decay_type: str = "pow"
    optimizer_adafactor_memory_exponent: float = 0.8
    optimizer_adafactor_clipping_threshold: float = 1.0
    optimizer_adafactor_factored: bool = True
    optimizer_adafactor_multiply_by_parameter_scale: bool = True
    optimizer_momentum_momentum: float = 0.9
    optimizer_momentum_nesterov: bool = False
    learning_rate_schedule: str = "constant*linear_warmup*rsqrt_decay"
    learning_rate_constant: float = 0.2
    learning_rate_warmup_steps: int = 4000
    learning_rate_decay_steps: int = 0
    learning_rate_decay_rate: float = 1.0
    learning_rate_decay_staircase: bool = False
    learning_rate: float = 0.1
    learning_rate_decay_scheme: str = "noam"
    learning_rate_boundaries: tuple[int, ...] = ()
    learning_rate_multiples: tuple[float, ...] = ()
    learning_rate_cosine_cycle_steps: int = 250_000
    learning_rate_factors: str = ""
    clip_grad_norm: float = 1.0
    weight_decay: float = 0.0
    weight_decay_type: str = "decoupled"
    ema_decay: float = 0.0

    def __post_init__(self) -> None:
        """Checks types and ranges.

        Raises:
          ValueError: naming the field, its value and what is allowed.
        """
        check_types(self)
        self.check_positive(
            "batch_size",
            "batch_examples",
            "max_buckets",
            "max_input_length",
            "max_target_length",
            "hidden_size",
            "image_stem_stride",
            "image_patch_size",
            "learning_rate_warmup_steps",
            "problems_per_update",
            "batches_per_update",
        )
        self.check_rates("dropout", "label_smoothing")
        self._check_modality_nets()
        self._check_augmentation()
        self.check_choice("activation_dtype", _ACTIVATION_DTYPES)
        self._check_optimizer()

    def _check_optimizer(self) -> None:
        if self.optimizer in _OTHER_OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {', '.join(OPTIMIZERS)}; got "
                f"'{self.optimizer}', which is {_OTHER_OPTIMIZERS[self.optimizer]}."
            )
        self.check_choice("optimizer", OPTIMIZERS)
        self.check_choice("optimizer_adafactor_decay_type", _ADAFACTOR_DECAY_TYPES)
        self.check_choice("weight_decay_type", WEIGHT_DECAY_TYPES)
        self.check_positive("learning_rate_cosine_cycle_steps")
        self.check_not_negative(
            "learning_rate_decay_steps",
            "learning_rate_decay_rate",
            "clip_grad_norm",
            "weight_decay",
            "optimizer_adafactor_memory_exponent",
            "optimizer_adafactor_clipping_threshold",
        )
        self.check_rates(
            "optimizer_adam_beta1",
            "optimizer_adam_beta2",
            "optimizer_adafactor_beta1",
            "optimizer_adafactor_beta2",
            "optimizer_momentum_momentum",
            "ema_decay",
        )
        if self.problem_learning_rates and self.problems_per_update > 1:
            raise ValueError(
                "`problem_learning_rates` must be empty, as a step of "
                f"`problems_per_update` ({self.problems_per_update}) problems has one "
                f"rate; got '{self.problem_learning_rates}'. Use "
                "`problem_loss_weights`."
            )
        if len(self.learning_rate_boundaries) != len(self.learning_rate_multiples):
            raise ValueError(
                "`learning_rate_multiples` must have as many numbers as "
                f"`learning_rate_boundaries`; got {self.learning_rate_multiples} and "
                f"{self.learning_rate_boundaries}."
            )

    def _check_modality_nets(self) -> None:
        self.check_choice("image_net", IMAGE_NETS)
        self.check_choice("class_label_net", CLASS_LABEL_NETS)
        for field, count in (("image_stem_filters", 2), ("class_label_filters", 3)):
            if len(getattr(self, field)) != count:
                raise ValueError(
                    f"`{field}` must have {count} numbers; got {getattr(self, field)}."
                )
        self.check_all_positive(
            "image_stem_filters",
            "image_filters",
            "audio_filters",
            "class_label_filters",
        )
        if self.audio_merge_bins and not self.audio_filters:
            raise ValueError(
                "`audio_filters` must have a number with `audio_merge_bins`; got ()."
            )
        stride, blocks = self.audio_time_stride, len(self.audio_filters)
        most = 2 ** (blocks if self.audio_merge_bins else blocks + 1)
        if stride < 1 or stride & (stride - 1) or stride > most:
            raise ValueError(
                f"`audio_time_stride` must be a power of 2 of at most {most}, with "
                f"`audio_filters` of {blocks} blocks; got {stride}."
            )

    def _check_augmentation(self) -> None:
        self.check_rates(
            "augment_audio_time_warp",
            "augment_audio_frequency_warp",
            "augment_audio_time_mask_share",
        )
        self.check_not_negative(
            "augment_audio_time_masks",
            "augment_audio_frequency_masks",
            "augment_image_shift",
        )
        self.check_positive("augment_audio_frequency_mask_bins")

    def check_positive(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are at least 1."""
        for field in fields:
            if getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must be at least 1; got {getattr(self, field)}."
                )

    def check_all_positive(self, *fields: str) -> None:
        """Raises `ValueError` unless every number of the fields is at least 1."""
        for field in fields:
            if any(number < 1 for number in getattr(self, field)):
                raise ValueError(
                    f"`{field}` must be numbers of at least 1; "
                    f"got {getattr(self, field)}."
                )

    def check_not_negative(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are at least 0."""
        for field in fields:
            if not getattr(self, field) >= 0:
                raise ValueError(
                    f"`{field}` must be at least 0; got {getattr(self, field)}."
                )

    def check_rates(self, *fields: str) -> None:
        """Raises `ValueError` unless the fields are probabilities below 1."""
        for field in fields:
            if not 0.0 <= getattr(self, field) < 1.0:
                raise ValueError(
                    f"`{field}` must be at least 0 and below 1; "
                    f"got {getattr(self, field)}."
                )

    def check_choice(self, field: str, choices: Sequence[str]) -> None:
        """Raises `ValueError` unless the field has one of the values `choices`."""
        if getattr(self, field) not in choices:
            raise ValueError(
                f"`{field}` must be one of {', '.join(choices)}; "
                f"got '{getattr(self, field)}'."
            )


_WRONG_TYPE = object()


def field_types(hparams_cls: type) -> dict[str, Any]:
    """Returns the annotated type of every field of a config dataclass."""
    hints = typing.get_type_hints(hparams_cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(hparams_cls)}


def check_types(config: Any) -> None:
    """Converts the fields of a frozen config to their types, where nothing is lost.

    Raises:
      ValueError: for a value of another type.
    """
    for field, kind in field_types(type(config)).items():
        value = coerce(getattr(config, field), kind)
        if value is _WRONG_TYPE:
            raise ValueError(_type_message(field, kind, getattr(config, field)))
        object.__setattr__(config, field, value)


def coerce(value: Any, kind: Any) -> Any:
    """Returns `value` as type `kind`, or a marker if it is of another type.

    Ints pass for floats and lists for tuples; nothing else is converted.
    """
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        options = [coerce(value, option) for option in typing.get_args(kind)]
        return next((o for o in options if o is not _WRONG_TYPE), _WRONG_TYPE)
    if origin is tuple:
        return _coerce_tuple(value, typing.get_args(kind)[0])
    if kind is float and type(value) is int:
        return float(value)
    return value if type(value) is kind else _WRONG_TYPE


def _coerce_tuple(value: Any, kind: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _WRONG_TYPE
    items = tuple(coerce(item, kind) for item in value)
    return _WRONG_TYPE if _WRONG_TYPE in items else items


def _type_message(field: str, kind: Any, value: Any) -> str:
    if isinstance(kind, type) and typing.get_origin(kind) is None:
        wanted = kind.__name__
    else:
        wanted = str(kind)
    return f"`{field}` must be of type {wanted}; got {value!r}."


def check_field(field: str, value: Any, hparams_cls: type) -> Any:
    """Returns a value as the type of a field.

    Raises:
      ValueError: if there is no such field (with the closest ones), or the value is of
        another type.
    """
    kinds = field_types(hparams_cls)
    if field not in kinds:
        raise ValueError(_unknown_field(field, hparams_cls))
    checked = coerce(value, kinds[field])
    if checked is _WRONG_TYPE:
        raise ValueError(_type_message(field, kinds[field], value))
    return checked


def parse_overrides(text: str, hparams_cls: type) -> dict[str, Any]:
    """Parses "hidden_size=128,kernel_sizes=(3,3)" by the types of the fields.

    Commas inside brackets or quotes separate nothing: 'mixing="a:1,b:2",moe_k=1'.

    Raises:
      ValueError: for a field that does not exist (with the closest ones), a value of
        another type, or a field given twice.
    """
    kinds = field_types(hparams_cls)
    overrides: dict[str, Any] = {}
    for item in _split_at_commas(text):
        field, equals, literal = (part.strip() for part in item.partition("="))
        if not equals or not literal:
            raise ValueError(
                f"An override must read name=value, with commas between; got '{item}'."
            )
        if field not in kinds:
            raise ValueError(_unknown_field(field, hparams_cls))
        if field in overrides:
            raise ValueError(f"`{field}` is given twice in '{text}'.")
        overrides[field] = _parse_value(field, literal, kinds[field])
    return overrides


def check_names(values: Mapping[str, Any], config_cls: type) -> dict[str, Any]:
    """Returns values by the names of fields, if they are some.

    Raises:
      ValueError: for a field that does not exist (with the closest ones).
    """
    for field in values:
        if field not in field_types(config_cls):
            raise ValueError(_unknown_field(field, config_cls))
    return dict(values)


def _unknown_field(field: str, hparams_cls: type) -> str:
    names = list(field_types(hparams_cls))
    close = difflib.get_close_matches(field, names, 3, 0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"It has: {names}."
    return f"{hparams_cls.__name__} has no field '{field}'. {hint}"


def _split_at_commas(text: str) -> list[str]:
    """Splits at the commas that stand outside of brackets and quotes."""
    items, depth, quote, current = [], 0, "", ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        else:
            depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0 and not quote:
            items.append(current)
            current = ""
        else:
            current += character
    if quote:
        raise ValueError(f"A quote ({quote}) must be closed; got '{text}'.")
    return [item for item in [*items, current] if item.strip()]


def _parse_value(field: str, literal: str, kind: Any) -> Any:
    if kind is str:
        return literal.strip("'\"")
    try:
        value = ast.literal_eval(
            {"true": "True", "false": "False", "none": "None"}.get(
                literal.lower(), literal
            )
        )
    except (ValueError, SyntaxError):
        value = literal
    if value is not literal and coerce(value, kind) is not _WRONG_TYPE:
        return coerce(value, kind)
    if coerce(literal, kind) is not _WRONG_TYPE:
        return literal
    raise ValueError(_type_message(field, kind, value))


def parse_pairs(field: str, text: str) -> list[tuple[str, float]]:
    """Parses the value of a field that reads "name:number,name:number".

    Raises:
      ValueError: if it does not read so, a number is below 0 or a name comes twice.
    """
    pairs: dict[str, float] = {}
    for item in filter(None, (item.strip() for item in text.split(","))):
        name, _, number = (part.strip() for part in item.rpartition(":"))
        if not name or name in pairs:
            raise ValueError(
                f"`{field}` must read name:number, with commas between and each name "
                f"once; got '{text}'."
            )
        pairs[name] = parse_number(field, number, text)
    return list(pairs.items())


def parse_number(field: str, number: str, text: str) -> float:
    """Returns the number in `text`, the value of a field.

    Raises:
      ValueError: if it is none, infinite or below 0.
    """
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise ValueError(
            f"`{field}` must have a number of at least 0 for '{number}'; got '{text}'."
        )
    return value


def read_gin(
    targets: Mapping[str, type], files: Sequence[str], bindings: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Reads gin files, then bindings, and returns the values bound to each target.

    Args:
      targets: config dataclasses by the name that bindings use for them, such as
        `{"multimodel_tiny": MultiModelHParams, "RunConfig": RunConfig}`.
      files: paths of gin files, read in order.
      bindings: lines such as "multimodel_tiny.hidden_size = 64"; later wins.

    Raises:
      FileNotFoundError: if a file does not exist.
      ValueError: for a syntax error, for a binding of a target that is not in
        `targets` or of a field that it does not have, or for a wrong type.
    """
    for file in files:
        if not pathlib.Path(file).is_file():
            raise FileNotFoundError(
                f"--gin_file must name a file; there is no '{file}'."
            )
    for target in targets:
        if target not in _GIN_TARGETS:
            _GIN_TARGETS[target] = gin.configurable(target)(_bound_values)
    with _fresh_gin_config():
        try:
            gin.parse_config_files_and_bindings(
                list(files), list(bindings), finalize_config=False
            )
        except (ValueError, SyntaxError) as error:
            raise ValueError(
                f"gin could not read the settings, which may bind "
                f"{' and '.join(targets)}: {error}"
            ) from None
        _check_all_effective(targets)
        return {
            target: _checked_fields(_GIN_TARGETS[target](), hparams_cls)
            for target, hparams_cls in targets.items()
        }


_GIN_TARGETS: dict[str, Callable[..., dict[str, Any]]] = {}


def _bound_values(**values: Any) -> dict[str, Any]:
    return values


@contextlib.contextmanager
def _fresh_gin_config() -> Iterator[None]:
    """Keeps one call's bindings from reaching the next: gin's store is global."""
    gin.clear_config()
    try:
        yield
    finally:
        gin.clear_config()


def _check_all_effective(targets: Mapping[str, type]) -> None:
    for other in _GIN_TARGETS.keys() - targets.keys():
        if gin.get_bindings(other):
            raise ValueError(
                f"A gin binding for {other} has no effect: this run reads "
                f"{' and '.join(targets)}. Bind those, or choose --hparams_set={other}."
            )


def _checked_fields(values: dict[str, Any], hparams_cls: type) -> dict[str, Any]:
    return {
        field: check_field(field, value, hparams_cls) for field, value in values.items()
    }


def resolve(
    name: str,
    *,
    bound: Mapping[str, Any] | None = None,
    overrides: str = "",
) -> HParams:
    """Returns the registered hparams set `name` with all overrides applied.

    A set that builds on another does not see gin bindings made for the other.

    Args:
      name: registered name.
      bound: values that gin binds to the set, from `read_gin`.
      overrides: "name=value,...", which win over `bound`.

    Raises:
      LookupError: if no set is called `name`.
      ValueError: for an override of an unknown field or of a wrong type.
    """
    defaults = registry.HPARAMS.get(name)()
    values = dict(bound or {}) | parse_overrides(overrides, type(defaults))
    return dataclasses.replace(defaults, **values)


def differences(old: HParams, new: HParams) -> list[str]:
    """Returns a line "field: old -> new" for every field in which two sets differ."""
    before, after = dataclasses.asdict(old), dataclasses.asdict(new)
    return [
        f"{field}: {before.get(field)!r} -> {after.get(field)!r}"
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]
