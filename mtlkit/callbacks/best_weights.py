"""The weights of the best validation, as those of the trained model."""

import copy
import math
from collections.abc import Iterable, Mapping

import attrs
import torch
from torch import nn

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.monitored_metric import metric_problems, monitored_metric
from mtlkit.component import Problem
from mtlkit.model import MultiTaskModel
from mtlkit.task import Task


@attrs.frozen(kw_only=True)
class BestWeights(Callback):
    """Give the model the weights of its best validation at the end of training.

    `metric` is the name of a validation metric, such as ``pose/accuracy``; by default the primary
    metric of the main task. With `ema`, the averaged weights are validated and kept.
    """

    needs_validation = True
    sets_weights = True

    metric: str | None = None

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        return metric_problems(self.metric, tasks)

    def build(self, run: TrainingRun) -> CallbackState:
        return _BestWeights(self, run)


class _BestWeights(CallbackState):
    def __init__(self, options: BestWeights, run: TrainingRun) -> None:
        super().__init__(run)
        self.metric = monitored_metric(options.metric, run.tasks)
        self.weights = copy.deepcopy(run.model).requires_grad_(False)
        self.best = nn.Buffer(torch.tensor(math.nan, dtype=torch.float64))
        self.step = nn.Buffer(torch.tensor(0))

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        value = metrics.get(self.metric.name, math.nan)
        if self.metric.improves(value, over=self.best.item()):
            self.best.fill_(value)
            self.step.fill_(step)
            self.weights.load_state_dict(model.state_dict())

    def finish(self) -> str | None:
        if int(self.step) == 0:  # no validation had a number
            return f"best weights: {self.metric.name} was never a number; the last weights are kept"
        self.run.model.load_state_dict(self.weights.state_dict())
        return f"best weights: after step {int(self.step)}, {self.metric.name} {self.best:.4g}"
