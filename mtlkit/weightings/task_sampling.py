"""A random subset of the tasks in each update (MT-DNN; Liu et al., ACL 2019).

Paper: Xiaodong Liu, Pengcheng He, Weizhu Chen and Jianfeng Gao, "Multi-Task Deep Neural Networks
for Natural Language Understanding", ACL 2019.
"""

from collections.abc import Iterable, Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.component import Problem, at_least
from mtlkit.task_types import LossTerm
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.kinds import BatchLossWeighting, UpdateStats


@attrs.frozen(kw_only=True)
class TaskSampling(Weighting):
    """Each update trains a random subset of the tasks (Liu et al., ACL 2019, algorithm 1).

    `tasks` is the size of the subset. The losses of all tasks are still computed and logged.
    """

    min_tasks = 2

    tasks: int = attrs.field(default=1, validator=at_least(1))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        if self.tasks >= len(terms):
            yield Problem(
                ("weighting", "tasks"),
                f"got {self.tasks} of {len(terms)} losses, expected fewer than all; use `equal` to "
                f"train all",
            )

    def build(self, terms: tuple[LossTerm, ...], features: int) -> "TaskSamplingWeights":
        return TaskSamplingWeights(self.tasks)


class TaskSamplingWeights(BatchLossWeighting):
    """Weights K / k for k losses drawn without replacement, 0 for the others; equal on every rank.

    Their expectation is 1, so the gradient is that of the plain sum on average.
    """

    def __init__(self, tasks: int) -> None:
        super().__init__()
        self.tasks = tasks

    def weights(self, stats: UpdateStats) -> Tensor:
        count = len(stats.losses)
        drawn = torch.randperm(count, generator=stats.step.generator())[: self.tasks]
        weights = torch.zeros(count)
        weights[drawn] = count / len(drawn)
        return weights.to(stats.losses)
