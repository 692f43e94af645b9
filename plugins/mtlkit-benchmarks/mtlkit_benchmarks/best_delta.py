"""The selection rule of several papers: the weights of the epoch with the best delta-m.

Paper: Aviv Navon, Aviv Shamsian, Idan Achituve, Haggai Maron, Kenji Kawaguchi, Gal Chechik and
Ethan Fetaya, "Multi-Task Learning as a Bargaining Game", ICML 2022 (QM9); Baijiong Lin and Yu
Zhang, "LibMTL: A Python Library for Deep Multi-Task Learning", JMLR 24, 2023 (relative to the first
epoch).
"""

import copy
import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import torch
from torch import Tensor

from mtlkit import Task
from mtlkit.callbacks import Callback, CallbackState, TrainingRun
from mtlkit.comparison import delta_by_metric, delta_by_task
from mtlkit.plugins import MultiTaskModel, Problem, one_of


@attrs.frozen(kw_only=True)
class BestDelta(Callback):
    """Give the model the weights of the validation with the best delta-m over all metrics of tasks.

    `base` holds the metrics of the baseline by name, such as ``depth/mae: 0.4``, and selects the
    metrics; without it, all metrics of the tasks count, relative to those of the first validation.
    `mean` is over ``metrics`` or over ``tasks``, of the means of their metrics.
    """

    needs_validation: ClassVar[bool] = True
    sets_weights: ClassVar[bool] = True

    base: Mapping[str, float] = attrs.field(factory=dict)
    mean: str = attrs.field(default="tasks", validator=one_of("tasks", "metrics"))

    def problems(self, tasks: Mapping[str, Task]) -> Iterable[Problem]:
        known = metrics_of(tasks)
        for name, value in self.base.items():
            if name not in known.get(name.partition("/")[0], {}):
                yield Problem(("base",), f"no task has the metric {name!r}")
            elif not math.isfinite(value) or value == 0:
                yield Problem(("base",), f"got {value!r} for {name}, expected a number but not 0")

    def build(self, run: TrainingRun) -> CallbackState:
        return _BestDelta(self, run)


class _BestDelta(CallbackState):
    best: Tensor
    step: Tensor
    first: Tensor

    def __init__(self, options: BestDelta, run: TrainingRun) -> None:
        super().__init__(run)
        self.mean = delta_by_task if options.mean == "tasks" else delta_by_metric
        self.sign = 1.0 if options.mean == "tasks" else -1.0
        known = metrics_of(run.tasks)
        if options.base:
            known = {
                task: {name: higher for name, higher in metrics.items() if name in options.base}
                for task, metrics in known.items()
            }
        self.metrics = {task: metrics for task, metrics in known.items() if metrics}
        self.names = [name for metrics in self.metrics.values() for name in metrics]
        base = [options.base.get(name, math.nan) for name in self.names]
        self.weights = copy.deepcopy(run.model).requires_grad_(False)
        self.register_buffer("first", torch.tensor(base, dtype=torch.float64))
        self.register_buffer("best", torch.tensor(math.nan, dtype=torch.float64))
        self.register_buffer("step", torch.tensor(0))

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        values = {name: metrics.get(name, math.nan) for name in self.names}
        if self.first.isnan().any():
            self.first.copy_(torch.tensor(list(values.values()), dtype=torch.float64))
        base = dict(zip(self.names, self.first.tolist(), strict=True))
        gain = self.sign * self.mean(values, base, self.metrics)
        if math.isnan(self.best.item()) or gain > self.best.item():
            self.best.fill_(gain)
            self.step.fill_(step)
            self.weights.load_state_dict(model.state_dict())

    def finish(self) -> str | None:
        if math.isnan(self.best.item()):
            return "best delta-m: it was never a number; the last weights are kept"
        self.run.model.load_state_dict(self.weights.state_dict())
        return (
            f"best delta-m: after step {int(self.step)}, a gain of {self.best.item():.4g} percent"
        )


def metrics_of(tasks: Mapping[str, Task]) -> dict[str, dict[str, bool]]:
    """Return the metrics of each task by name, such as ``depth/mae``; True if higher is better."""
    return {
        task: {f"{task}/{metric.name}": metric.higher_is_better for metric in value.measured_by}
        for task, value in tasks.items()
    }
