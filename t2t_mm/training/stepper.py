"""The steps of a run: which problems, which batches, which learning rate."""

from typing import NamedTuple

from t2t_mm.training import checkpoint, feed, step_loop, updates
from t2t_mm.training.parts import Parts
from t2t_mm.training.step_values import StepOutput


class Step(NamedTuple):
    """What a problem had in a step.

    Attributes:
      number: updates so far, this one included.
      problem: its name.
      output: what came of it.
    """

    number: int
    problem: str
    output: StepOutput


class Stepper:
    """Makes the steps of a run, which depend on nothing but where it stands.

    Attributes:
      updates: what makes them.
    """

    def __init__(self, parts: Parts, state: checkpoint.RunState) -> None:
        """Prepares to go on.

        Args:
          parts: what the run is made of.
          state: where it stands when the first step is made; steps move it.
        """
        self._config = parts.config
        self._sources = parts.sources
        self._schedule = parts.schedule
        self._learning_rate = parts.learning_rate
        self._state = state
        self.updates = updates.Updates(
            parts.model,
            parts.optimizer,
            parts.average,
            parts.distribution,
            jit_compile=bool(parts.config.jit_compile),
        )
        self._feed = feed.Feed(
            parts.model,
            parts.sources,
            state,
            parts.distribution,
            has_static_shapes=self.updates.has_static_shapes,
        )
        self._loop: step_loop.StepLoop | None = None

    def steps(self, most: int) -> list[Step]:
        """Makes the next steps: as many as are made in one call, or `most`."""
        if self._config.steps_per_loop > 1:
            return self._steps_in_a_loop(min(most, self._config.steps_per_loop))
        return self._one_step()

    def _one_step(self) -> list[Step]:
        step = self._state.step
        problems = self._schedule.problems_at(step, self._state.losses_left())
        outputs, update = self.updates.step(
            [self._feed.draw(problem) for problem in problems],
            self._rate(step, problems),
            (self._config.seed, step),
        )
        self._state.step += 1
        return [
            Step(step + 1, problem, StepOutput(output, update))
            for problem, output in zip(problems, outputs, strict=True)
        ]

    def _steps_in_a_loop(self, count: int) -> list[Step]:
        if self._loop is None:
            self._loop = step_loop.StepLoop(
                self.updates, self._feed, seed=self._config.seed
            )
        first, losses_left = self._state.step, self._state.losses_left()
        numbers = range(first, first + count)
        drawn = [self._schedule.problems_at(step, losses_left) for step in numbers]
        rates = [self._rate(step, ps) for step, ps in zip(numbers, drawn, strict=True)]
        problems = [problem for (problem,) in drawn]
        outputs = self._loop.steps(problems, rates, first)
        self._state.step += count
        return [
            Step(number + 1, problem, output)
            for number, problem, output in zip(numbers, problems, outputs, strict=True)
        ]

    def _rate(self, step: int, problems: list[str]) -> float:
        # Of several problems, no one has a rate of its own.
        return self._learning_rate(step) * self._sources[problems[0]].rate_factor
