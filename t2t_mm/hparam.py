"""Hyperparameters and the one path that overrides them.

    dataclass defaults -> set function -> gin files -> gin bindings -> --hparams

Later wins. The first two are Python; gin is the store of everything after them, and
`--hparams="k=v,..."` is another spelling of a gin binding. The result is a frozen,
checked dataclass; a name, a type or a binding that would have no effect is an error.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from t2t_mm import config_fields, registry

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
class HParams(config_fields.CheckedFields):
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
        config_fields.check_types(self)
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
      bound: values that gin binds to the set, from `gin_settings.read_gin`.
      overrides: "name=value,...", which win over `bound`.

    Raises:
      LookupError: if no set is called `name`.
      ValueError: for an override of an unknown field or of a wrong type.
    """
    defaults = registry.HPARAMS.get(name)()
    values = dict(bound or {}) | config_fields.parse_overrides(
        overrides, type(defaults)
    )
    return dataclasses.replace(defaults, **values)


def differences(old: HParams, new: HParams) -> list[str]:
    """Returns a line "field: old -> new" for every field in which two sets differ."""
    before, after = dataclasses.asdict(old), dataclasses.asdict(new)
    return [
        f"{field}: {before.get(field)!r} -> {after.get(field)!r}"
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]
