"""An end of training when a metric no longer improves.

Paper: Lutz Prechelt, "Early Stopping - But When?", in "Neural Networks: Tricks of the Trade", 1998.
"""

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.monitored_metric import metric_problems, monitored_metric
from mtlkit.component import Problem, at_least, at_least_number
from mtlkit.model import MultiTaskModel
from mtlkit.task import Task


@attrs.frozen(kw_only=True)
class EarlyStopping(Callback):
    """Stop after `patience` validations in a row without an improvement by more than `min_delta`.

    `metric` is the name of a validation metric, such as ``pose/accuracy``; by default the primary
    metric of the main task. The model keeps its last weights: list `best-weights` after this
    callback to get the best ones.
    """

    needs_validation: ClassVar[bool] = True
    reads_parameters: ClassVar[bool] = False

    metric: str | None = None
    patience: int = attrs.field(default=5, validator=at_least(1))
    min_delta: float = attrs.field(default=0.0, validator=at_least_number(0))

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        return metric_problems(self.metric, tasks)

    def build(self, run: TrainingRun) -> CallbackState:
        return _EarlyStopping(self, run)


class _EarlyStopping(CallbackState):
    best: Tensor
    waited: Tensor

    def __init__(self, options: EarlyStopping, run: TrainingRun) -> None:
        super().__init__(run)
        self.options = options
        self.metric = monitored_metric(options.metric, run.tasks)
        self.register_buffer("best", torch.tensor(math.nan, dtype=torch.float64))
        self.register_buffer("waited", torch.tensor(0))

    @property
    def stops(self) -> bool:
        return int(self.waited) >= self.options.patience

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        value = metrics.get(self.metric.name, math.nan)
        if self.metric.improves(value, over=self.best.item(), by=self.options.min_delta):
            self.best.fill_(value)
            self.waited.zero_()
        else:
            self.waited += 1

    def finish(self) -> str | None:
        if not self.stops:
            return None
        return (
            f"stopped early: {self.metric.name} has not improved on {self.best.item():.4g} in "
            f"{self.options.patience} validations"
        )
