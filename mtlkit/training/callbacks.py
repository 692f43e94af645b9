"""The callbacks of a run, called together."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from mtlkit.callbacks.base import CallbackState, TrainingRun
from mtlkit.callbacks.monitored_metric import MonitoredMetric
from mtlkit.errors import AssemblyError
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.model import MultiTaskModel
from mtlkit.train_validators import once_validated
from mtlkit.training.context import TrainingContext


class Callbacks(nn.Module):
    """The callbacks of a recipe in their order; their state is that of this module."""

    def __init__(
        self, model: MultiTaskModel, context: TrainingContext, steps: int, per_epoch: int
    ) -> None:
        super().__init__()
        self.gradient: Callable[[int], Mapping[nn.Parameter, Tensor]] | None = None
        """The gradient of the plain sum of losses in an update; None before the first one."""
        recipe = context.recipe
        for number, callback in enumerate(recipe.callbacks):
            every = recipe.train.evaluate_every
            if callback.needs_validation and every > 1 and every * per_epoch > steps:
                message = once_validated(type(callback).__name__, recipe.train)
                raise AssemblyError(f"callbacks.{number}: {message}")
            if callback.needs_validation and context.data.validation is None:
                raise AssemblyError(
                    f"callbacks.{number}: {type(callback).__name__} depends on the validation "
                    f"split, and this data has none; set a part aside for it in the data's options"
                )

        def batches() -> Iterator[tuple[Batch, Mapping[str, Tensor]]]:
            split, targets = context.data.train, context.targets["train"]
            # equal sizes, as in training: batch norm cannot compute the variance of a rest of one
            number = math.ceil(len(split) / recipe.train.batch)
            for index in torch.tensor_split(torch.arange(len(split)), number):
                yield (
                    map_batch(lambda part: part.to(context.device), split.inputs[index]),
                    {task: targets[task][index].to(context.device) for task in model.tasks},
                )

        self.run = TrainingRun(
            model=model,
            tasks=recipe.tasks,
            steps=steps,
            steps_per_epoch=per_epoch,
            batches=batches,
            mean_gradient=self._mean_gradient,
        )
        states = [callback.build(self.run) for callback in recipe.callbacks]
        for number, state in enumerate(states):
            if not isinstance(state, CallbackState):
                raise AssemblyError(
                    f"callbacks.{number}: {type(recipe.callbacks[number]).__name__}.build returned "
                    f"a {type(state).__name__}; expected a CallbackState"
                )
            _check_monitored(number, getattr(state, "metric", None), context)
        frozen = {parameter for state in states for parameter in state.frozen(steps - 1)}
        if states and all(p in frozen or not p.requires_grad for p in model.parameters()):
            raise AssemblyError(
                "callbacks: every parameter of the model would always be frozen; leave some to "
                "train, or give `epochs` below those of the run"
            )
        self.states = nn.ModuleList(states).to(context.device)
        self._in_order = tuple(states)  # the same, without the cost of a ModuleList

    def _mean_gradient(self, step: int) -> Mapping[nn.Parameter, Tensor]:
        if self.gradient is None:
            raise AssemblyError(
                "callbacks: `mean_gradient` was called before the first update, expected a call in "
                "an update; call it in `around_backward`"
            )
        frozen = {parameter for state in self for parameter in state.frozen(step)}
        return {p: value for p, value in self.gradient(step).items() if p not in frozen}

    def __iter__(self) -> Iterator[CallbackState]:
        return iter(self._in_order)

    @property
    def stop(self) -> bool:
        """True if a callback ends training."""
        return any(state.stops for state in self)

    @property
    def rate_factor(self) -> float:
        """The product of the factors of all callbacks."""
        return math.prod(state.rate_factor for state in self)

    def before_update(self, step: int) -> None:
        """Call every callback before the update `step`, counted from 0."""
        for state in self:
            state.before_update(step)

    def around_backward(self, step: int) -> ExitStack:
        """Enter every callback's context of the losses and gradients of the update `step`."""
        with ExitStack() as stack:
            for state in self:
                stack.enter_context(state.around_backward(step))
            return stack.pop_all()

    def after_backward(self, step: int) -> None:
        """Call every callback with the gradients of the update `step`."""
        for state in self:
            state.after_backward(step)

    def after_update(self, step: int) -> None:
        """Call every callback after `step` updates."""
        for state in self:
            state.after_update(step)

    def evaluated_model(self, model: MultiTaskModel) -> MultiTaskModel:
        """Return the model to validate: that of the last callback that has one, or `model`."""
        models = [state.evaluated_model() for state in self]
        return next((chosen for chosen in reversed(models) if chosen is not None), model)

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        """Pass the metrics of the validation split to every callback."""
        for state in self:
            state.after_evaluation(step, model, metrics)

    def log_values(self) -> dict[str, float]:
        """Return the values of all callbacks for the log, by name."""
        return {name: value for state in self for name, value in state.log_values().items()}

    def finish(self) -> list[str]:
        """Let every callback change the model after the last update; return their lines."""
        return [line for state in self if (line := state.finish()) is not None]


def _check_monitored(number: int, metric: object, context: TrainingContext) -> None:
    """Refuse a metric of a task without a label in validation, which is never a number."""
    if not isinstance(metric, MonitoredMetric) or context.data.validation is None:
        return
    name, _, _ = metric.name.rpartition("/")  # a mean over tasks has no task
    task = context.recipe.tasks.get(name)
    label = task and (task.target or name)
    if label and not context.data.validation.column(label).present().any():
        raise AssemblyError(
            f"callbacks.{number}: {metric.name} is never a number, because no validation sample "
            f"has the label {label!r}; change the split, or name another metric"
        )
