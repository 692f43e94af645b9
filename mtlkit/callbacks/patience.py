"""Base classes of the callbacks that count validations without an improvement."""

import math
from collections.abc import Iterable, Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.monitored_metric import metric_problems, monitored_metric
from mtlkit.component import Problem, at_least, at_least_number
from mtlkit.model import MultiTaskModel
from mtlkit.task import Task


@attrs.frozen(kw_only=True)
class PatientCallback(Callback):
    """Options of a callback that acts after `patience` validations in a row without improvement.

    `metric` is the name of a validation metric, by default the primary metric of the main task; it
    improves if it changes by more than `min_delta` in its direction.
    """

    needs_validation = True
    reads_parameters = False

    metric: str | None = None
    patience: int = attrs.field(default=5, validator=at_least(1))
    min_delta: float = attrs.field(default=0.0, validator=at_least_number(0))

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        return metric_problems(self.metric, tasks)


class Patience(CallbackState):
    """The best value of the metric, and the number of validations since then."""

    def __init__(self, options: PatientCallback, run: TrainingRun) -> None:
        super().__init__(run)
        self.min_delta = options.min_delta
        self.metric = monitored_metric(options.metric, run.tasks)
        self.best = nn.Buffer(torch.tensor(math.nan, dtype=torch.float64))
        self.waited: Tensor = nn.Buffer(torch.tensor(0))

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        """Count a validation with these `metrics`: from 0 after an improvement."""
        value = metrics.get(self.metric.name, math.nan)
        if self.metric.improves(value, over=self.best.item(), by=self.min_delta):
            self.best.fill_(value)
            self.waited.zero_()
        else:
            self.waited += 1
