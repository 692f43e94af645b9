"""The network of the router `adapters`."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mtlkit.routers import Features, UnbranchedRouter, Wiring
from mtlkit_hello.adapters import Adapters


class Adapter(nn.Sequential):
    """V relu(W x): what a task adds to features (N, D)."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features))


class AdaptersRouter(UnbranchedRouter):
    """x_t = x + V_t relu(W_t x) for each task t, with the features x of the backbone."""

    def __init__(self, config: Adapters, wiring: Wiring) -> None:
        super().__init__()
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.tasks = wiring.tasks
        # a list, because a task may have a name that no attribute can have
        self.adapters = nn.ModuleList(Adapter(self.features, config.hidden) for _ in self.tasks)

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.adapters,)

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        x = features
        return {task: x + add(x) for task, add in zip(self.tasks, self.adapters, strict=True)}
