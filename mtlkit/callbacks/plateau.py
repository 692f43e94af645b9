"""A learning rate that falls when a metric no longer improves."""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.monitored_metric import metric_problems, monitored_metric
from mtlkit.component import Problem, at_least, at_least_number, below, between
from mtlkit.model import MultiTaskModel
from mtlkit.task import Task


@attrs.frozen(kw_only=True)
class Plateau(Callback):
    """Multiply the learning rate by `factor` after `patience` validations without an improvement.

    It is a callback, since a schedule is a function of the step alone; it multiplies the factor of
    any schedule, down to `floor`. `metric` is the name of a validation metric, such as
    ``pose/accuracy``; by default the primary metric of the main task.
    """

    needs_validation: ClassVar[bool] = True
    reads_parameters: ClassVar[bool] = False

    metric: str | None = None
    factor: float = attrs.field(default=0.1, validator=below(1))
    patience: int = attrs.field(default=5, validator=at_least(1))
    min_delta: float = attrs.field(default=0.0, validator=at_least_number(0))
    floor: float = attrs.field(default=0.0, validator=between(0, 1))

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        return metric_problems(self.metric, tasks)

    def build(self, run: TrainingRun) -> CallbackState:
        return _Plateau(self, run)


class _Plateau(CallbackState):
    best: Tensor
    waited: Tensor
    drops: Tensor

    def __init__(self, options: Plateau, run: TrainingRun) -> None:
        super().__init__(run)
        self.options = options
        self.metric = monitored_metric(options.metric, run.tasks)
        self.register_buffer("best", torch.tensor(math.nan, dtype=torch.float64))
        self.register_buffer("waited", torch.tensor(0))
        self.register_buffer("drops", torch.tensor(0))

    @property
    def rate_factor(self) -> float:
        return max(self.options.factor ** int(self.drops), self.options.floor)

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        value = metrics.get(self.metric.name, math.nan)
        if self.metric.improves(value, over=self.best.item(), by=self.options.min_delta):
            self.best.fill_(value)
            self.waited.zero_()
            return
        self.waited += 1
        if int(self.waited) == self.options.patience:
            self.drops += 1
            self.waited.zero_()
