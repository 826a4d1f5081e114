"""Base class of models: modalities around a body, for several problems at once."""

import abc
import collections
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import initializers, moe, randomness, recomputation
from t2t_mm.modality import INPUTS, TARGETS, Embedded, LossTerms

FeatureSpecs = Mapping[str, FeatureSpec]
SPACE_ID = "target_space_id"
DecodeState = Any  # nest of tensors whose axis 0 is batch


class BodyOutput(NamedTuple):
    """What a part of a body returns.

    Attributes:
      embedded: values, mask and grid in the space of the body.
      losses: further training losses by name, each `[]` float32.
      experts: how the experts were used, by name of the layer.
    """

    embedded: Embedded
    losses: dict[str, tf.Tensor]
    experts: dict[str, moe.ExpertStats]


def make_body_output(
    embedded: Embedded, layers: Mapping[str, moe.MoeOutput]
) -> BodyOutput:
    """Returns what a part of a body returns that has layers with experts.

    Args:
      embedded: result of the part.
      layers: outputs of its feed-forward layers by name.
    """
    losses, experts = {}, {}
    for name, layer in layers.items():
        if layer.stats is not None:
            losses[name], experts[name] = layer.balance_loss, layer.stats
    return BodyOutput(embedded, losses, experts)


class ModelOutput(NamedTuple):
    """Result of a forward pass.

    Attributes:
      outputs: float32, what `top` of the targets' modality returns: of ids, logits
        `[batch, target_length, vocab_size]`.
      loss: the loss of the targets, as their modality takes it.
      extra_losses: further training losses by name, each `[]` float32, weighted.
      experts: how the experts were used, by name of the layer.
    """

    outputs: tf.Tensor
    loss: LossTerms
    extra_losses: dict[str, tf.Tensor]
    experts: dict[str, moe.ExpertStats]


class Model(tf.Module, abc.ABC):
    """bottom -> body -> top.

    Features with the same `Modality.key` share a modality, all problems share the body.
    `problem` arguments are Python strings. Problems with the same `graph_key` compute
    the same graph, apart from the command token, which is a feature of the batch.

    A problem without inputs, a language model, leaves the encoder alone: its decoder
    attends to a memory of one position, the command token.

    Attributes:
      hparams_cls: type of the hyperparameters that the model takes.
      commands: `[NUM_SPACES, hidden_size]`, a token per `SpaceId`; from `build_body`.
    """

    hparams_cls: ClassVar[type[hparam.HParams]]
    commands: tf.Variable

    def __init__(
        self,
        hparams: hparam.HParams,
        problems: Mapping[str, FeatureSpecs],
        *,
        seed: int = 0,
        name: str = "model",
    ) -> None:
        """Builds the modalities that the problems need, and the body.

        Args:
          hparams: sizes.
          problems: specs of "inputs", if there are any, and "targets" by name of the
            problem.
          seed: seeds initial values.
          name: scope of the variables.

        Raises:
          LookupError: if a modality is not registered.
          TypeError: if the hyperparameters are those of another model.
          ValueError: if a modality cannot be used as a problem wants, or if a problem
            without inputs has targets that are no sequence.
        """
        super().__init__(name=name)
        if not isinstance(hparams, self.hparams_cls):
            raise TypeError(
                f"{type(self).__name__} takes {self.hparams_cls.__name__}; got "
                f"{type(hparams).__name__}, which belong to another model."
            )
        self.hparams = hparams
        self.problems = {name: dict(specs) for name, specs in problems.items()}
        with initializers.seeded(seed), self.name_scope:
            self.modalities = self._build_modalities()
            self._check_language_models()
            self.build_body()
        self._check_names_are_unique()

    @property
    def dtype(self) -> tf.DType:
        """Type of activations in the body."""
        return tf.as_dtype(self.hparams.activation_dtype)

    def _build_modalities(self) -> dict[str, modality.Modality]:
        roles: dict[str, set[str]] = collections.defaultdict(set)
        specs = {}
        for features in self.problems.values():
            for role, spec in features.items():
                key = registry.MODALITIES.get(spec.modality).key(spec)
                roles[key].add(role)
                specs[key] = spec
        modalities = {}
        for key, spec in sorted(specs.items()):
            cls = registry.MODALITIES.get(spec.modality)
            modalities[key] = cls(spec, self.hparams, roles[key], name=cls.scope(spec))
        return modalities

    def _check_language_models(self) -> None:
        for problem, specs in self.problems.items():
            if INPUTS not in specs and not self.is_autoregressive(problem):
                raise ValueError(
                    f"Problem '{problem}' has no inputs, and its targets, of modality "
                    f"'{specs[TARGETS].modality}', are no sequence: there is nothing "
                    "to read them off."
                )

    def _check_names_are_unique(self) -> None:
        counts = collections.Counter(v.name for v in self.variables)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            raise ValueError(
                "Variables must have different names, because optimizer slots and "
                f"initial values go by them; repeated: {', '.join(repeated)}."
            )

    def _modality(self, problem: str, role: str) -> modality.Modality:
        spec = self.problems[problem][role]
        return self.modalities[registry.MODALITIES.get(spec.modality).key(spec)]

    def target_modality(self, problem: str) -> modality.Modality:
        """Returns the modality of a problem's targets."""
        return self._modality(problem, TARGETS)

    def graph_key(self, problem: str) -> Hashable:
        """Returns what decides the graph of a problem; a graph may serve several."""
        return tuple(
            (role, self._modality(problem, role).name, spec.shape, spec.dtype)
            for role, spec in sorted(self.problems[problem].items())
        )

    def signature(self, problem: str) -> dict[str, tf.TensorSpec]:
        """Returns the types of `prepare`'s features, of any batch size and lengths."""
        signature = {SPACE_ID: tf.TensorSpec([], tf.int32, SPACE_ID)}
        for role, spec in self.problems[problem].items():
            signature[role] = tf.TensorSpec([None, *spec.shape], spec.dtype, role)
            length = f"{role}_length"
            signature[length] = tf.TensorSpec([None], tf.int32, length)
        return signature

    def prepare(
        self, features: Mapping[str, tf.Tensor], problem: str
    ) -> dict[str, tf.Tensor]:
        """Returns a batch with the problem's command, `target_space_id` `[]` int32."""
        space_id = self.problems[problem][TARGETS].space_id
        return {**features, SPACE_ID: tf.constant(int(space_id), tf.int32)}

    def has_inputs(self, problem: str) -> bool:
        """Returns whether a problem has inputs; a language model has none."""
        return INPUTS in self.problems[problem]

    def is_autoregressive(self, problem: str) -> bool:
        """Returns whether the targets are produced position by position."""
        return self.target_modality(problem).autoregressive

    def __call__(
        self,
        features: Mapping[str, tf.Tensor],
        *,
        problem: str,
        rng: randomness.RandomStream | None = None,
    ) -> ModelOutput:
        """Runs bottom, body and top on a batch of one problem.

        Args:
          features: `inputs` and `inputs_length`, if the problem has them, `targets`,
            `targets_length` and `target_space_id`, from `prepare`.
          problem: name of the problem.
          rng: randomness of a training step; None for evaluation.
        """
        encoded = self.encode(features, problem=problem, rng=rng)
        top = self.target_modality(problem)
        targets, lengths = features[TARGETS], features["targets_length"]
        mask = tf.sequence_mask(lengths, tf.shape(targets)[1])
        if not top.autoregressive:
            body = self.read_off(encoded, features[SPACE_ID], rng)
        else:
            body = self.decode_body(
                Embedded(top.targets_bottom(targets), mask),
                encoded.embedded,
                features[SPACE_ID],
                rng,
            )
        outputs = top.top(body.embedded)
        return ModelOutput(
            outputs,
            top.loss(outputs, targets, mask, training=rng is not None),
            encoded.losses | body.losses,
            encoded.experts | body.experts,
        )

    def encode(
        self,
        features: Mapping[str, tf.Tensor],
        *,
        problem: str,
        rng: randomness.RandomStream | None = None,
    ) -> BodyOutput:
        """Runs everything that does not depend on targets.

        Without inputs that is nothing: the result is the command token. Of the
        features, only the number of rows of `targets_length` is read then.
        """
        if not self.has_inputs(problem):
            rows = tf.shape(features["targets_length"])[0]
            return BodyOutput(self._command(features[SPACE_ID], rows), {}, {})
        bottom = self._modality(problem, INPUTS)
        embedded = bottom.bottom(features[INPUTS], features["inputs_length"], rng)
        return self.encode_body(embedded, features[SPACE_ID], rng)

    def _command(self, space_id: tf.Tensor, rows: tf.Tensor) -> Embedded:
        """Returns the command token as a memory of one position in each of `rows`."""
        command = tf.cast(tf.gather(self.commands, space_id), self.dtype)
        # [hidden] -> [batch, 1, hidden]
        values = tf.tile(command[None, None], [rows, 1, 1])
        return Embedded(values, tf.ones([rows, 1], tf.bool))

    def predict(self, features: Mapping[str, tf.Tensor], *, problem: str) -> tf.Tensor:
        """Returns predictions of targets that are not a sequence, a row for each."""
        encoded = self.encode(features, problem=problem)
        body = self.read_off(encoded, features[SPACE_ID], None)
        top = self.target_modality(problem)
        return top.predict(top.top(body.embedded))

    def run_layer(
        self,
        layer: Callable[..., Any],
        inputs: Sequence[tf.Tensor],
        rng: randomness.RandomStream | None,
    ) -> Any:
        """Runs a layer of the body; with the hparam `remat`, keeps no more than inputs.

        Args:
          layer: takes the inputs and `rng`.
          inputs: all tensors that have a gradient, apart from variables.
          rng: None outside training.
        """
        if rng is None or not self.hparams.remat:
            return layer(*inputs, rng)
        return recomputation.recomputed(layer, inputs, rng)

    def decode_step(
        self,
        ids: tf.Tensor,
        state: DecodeState,
        position: tf.Tensor,
        *,
        problem: str,
    ) -> tuple[tf.Tensor, DecodeState]:
        """Predicts the next id; costs one position, whatever came before.

        Args:
          ids: `[batch]` int32, the ids chosen at `position - 1`; without meaning at
            position 0, which starts from the command token.
          state: from `init_state` or the step before; not modified.
          position: `[]` int32.
          problem: name of the problem.

        Returns:
          Logits `[batch, vocab_size]` and the new state. Stepping through a sequence
          gives the logits of `__call__`.
        """
        top = self.target_modality(problem)
        embedded = top.targets_bottom(ids[:, None])[:, 0]
        values, state = self.decode_body_step(embedded, state, position)
        mask = tf.ones([tf.shape(values)[0], 1], tf.bool)
        return top.top(Embedded(values[:, None], mask))[:, 0], state

    def read_off(
        self,
        encoded: BodyOutput,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> BodyOutput:
        """Returns what targets that are no sequence are read off: the encoder's output.

        Args:
          encoded: from `encode_body`.
          space_id: `[]` int32, what the targets mean (`SpaceId`).
          rng: None outside training.
        """
        del space_id, rng
        return encoded

    @abc.abstractmethod
    def build_body(self) -> None:
        """Creates the body's variables and `commands`, in the model's name scope."""

    @abc.abstractmethod
    def encode_body(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> BodyOutput:
        """Computes what does not depend on targets.

        Args:
          inputs: embedded; padding is zero.
          space_id: `[]` int32, what the targets mean (`SpaceId`), the command.
          rng: None outside training.
        """

    @abc.abstractmethod
    def decode_body(
        self,
        targets: Embedded,
        encoded: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> BodyOutput:
        """Computes every target position from the ones before it.

        Args:
          targets: embedded and not shifted: the body shifts them right.
          encoded: from `encode_body`; without inputs, the command token.
          space_id: `[]` int32, what the targets mean (`SpaceId`).
          rng: None outside training.
        """

    @abc.abstractmethod
    def init_state(
        self, encoded: Embedded, space_id: tf.Tensor, *, max_length: int
    ) -> DecodeState:
        """Returns the state before the first position.

        Args:
          encoded: from `encode_body`.
          space_id: `[]` int32, what the targets mean (`SpaceId`).
          max_length: number of positions to make room for.
        """

    @abc.abstractmethod
    def decode_body_step(
        self,
        target: tf.Tensor,
        state: DecodeState,
        position: tf.Tensor,
    ) -> tuple[tf.Tensor, DecodeState]:
        """Computes one target position.

        Args:
          target: `[batch, hidden_size]`, the embedded target at `position - 1`.
          state: from `init_state` or the step before.
          position: `[]` int32.

        Returns:
          `[batch, hidden_size]` and the new state.
        """
