"""The router `adapters`."""

from collections.abc import Mapping, Sequence

import attrs
from torch import Tensor, nn

from mtlkit.backbones import Batch
from mtlkit.plugins import at_least
from mtlkit.routers import Features, RouterModule, Unbranched, UnbranchedRouter, Wiring


@attrs.frozen(kw_only=True)
class Adapters(Unbranched):
    """One backbone for all tasks, and for each task a small layer that adapts its features.

    The layer has a bottleneck of `hidden` features.
    """

    hidden: int = attrs.field(default=4, validator=at_least(1))

    def build(self, wiring: Wiring) -> RouterModule:
        return AdaptersRouter(self.hidden, wiring)


class Bottleneck(nn.Sequential):
    """V relu(W x): the change of features (N, D) for one task."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features))


class AdaptersRouter(UnbranchedRouter):
    """x_t = x + V_t relu(W_t x) for each task t, with the features x of the backbone."""

    def __init__(self, hidden: int, wiring: Wiring) -> None:
        super().__init__()
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.tasks = wiring.tasks
        # a list, because the name of a task need not be a valid name of an attribute
        width = self.features.width
        self.adapters = nn.ModuleList(Bottleneck(width, hidden) for _ in self.tasks)

    def forward(self, inputs: Batch) -> Features:
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.adapters,)

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        x = features
        return {task: x + add(x) for task, add in zip(self.tasks, self.adapters, strict=True)}
