"""Losses and task gradients of a part of an update."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mtlkit.model import MultiTaskModel
from mtlkit.routers.base import Features
from mtlkit.training.gradients.batch import MicroBatch, Part, UpdateInfo
from mtlkit.training.gradients.features import detach_features, ends_of
from mtlkit.training.gradients.loss_scale import scaled, unscaled
from mtlkit.training.gradients.shared_parameters import shared_parameters
from mtlkit.training.gradients.task_gradients import TaskGradients
from mtlkit.weightings.kinds import StepLosses

Autocast = Callable[[], AbstractContextManager[object]]
"""The context of forward passes."""

P = TypeVar("P", bound=Part)


class ForwardPass(ABC, Generic[P]):
    """Compute losses, and their gradients at the features; `autocast` is the context of both.

    `separate` is True if each parameter behind the features belongs to one task. Their gradients
    are then weighted without a second pass through the heads. `scale` is the loss scale of fp16
    training. Gradients are computed of losses times the scale, and returned without it.
    """

    separate = False
    scale: Tensor | None = None

    def __init__(self, autocast: Autocast = nullcontext) -> None:
        self.autocast = autocast

    @abstractmethod
    def losses(self, part: P, update: UpdateInfo) -> tuple[StepLosses, Sequence[Tensor]]:
        """Return the losses of `part` and the trained tensors that its heads read.

        It is called in the context `autocast`.
        """

    @abstractmethod
    def gradients(
        self, part: P, update: UpdateInfo, *, heads: bool, backbone_graph: bool = True
    ) -> TaskGradients:
        """Return the gradients of `part`; with `heads`, also those behind the features.

        Without `backbone_graph` they are not propagated into the backbone.
        """


class ModelPass(ForwardPass[MicroBatch]):
    """Run the network of a recipe."""

    def __init__(self, model: MultiTaskModel, autocast: Autocast = nullcontext) -> None:
        super().__init__(autocast)
        self.model = model
        before = set(shared_parameters(model.router))
        self._behind = [p for p in model.parameters() if p not in before]
        self._tasks = _tasks_of(model)
        self.separate = all(p in self._tasks for p in self._behind)

    def losses(self, part: MicroBatch, update: UpdateInfo) -> tuple[StepLosses, Sequence[Tensor]]:
        features = self.model.features(part.inputs)
        losses = self._losses_at(features, part, update)
        return losses, [end for end in ends_of(features) if end.requires_grad]

    def gradients(
        self, part: MicroBatch, update: UpdateInfo, *, heads: bool, backbone_graph: bool = True
    ) -> TaskGradients:
        behind = [p for p in self._behind if p.requires_grad] if heads else []
        with self.autocast():
            with torch.set_grad_enabled(backbone_graph):
                features = self.model.features(part.inputs)
            detached = detach_features(features, self.model.tasks)
            losses = self._losses_at(detached.features, part, update)
        # outside of autocast: in bf16 nearly parallel gradients would become parallel
        mean = scaled(losses.mean, self.scale)
        rows, at_heads = detached.jacobian(mean, self.model.tasks, behind)
        if self.scale is not None:
            rows /= self.scale
        at_heads = unscaled(at_heads, self.scale)
        tasks = [self._tasks[p] for p in behind] if self.separate else ()
        return TaskGradients(detached, losses, rows, behind, at_heads, self.scale, tasks=tasks)

    def _losses_at(self, features: Features, part: MicroBatch, update: UpdateInfo) -> StepLosses:
        return self.model.losses_at(
            features, part.targets, update.counts, part.fraction, part.weights
        )


def _tasks_of(model: MultiTaskModel) -> dict[nn.Parameter, int]:
    """Return the index of the one task whose head or adapter has a parameter, by parameter."""
    owners = [(p, i) for i, task in enumerate(model.tasks) for p in model.own_parameters(task)]
    counts = Counter(parameter for parameter, _ in owners)
    return {parameter: index for parameter, index in owners if counts[parameter] == 1}
