"""Customized gate control and progressive layered extraction (Tang et al., RecSys 2020)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlkit.routers.base import Features, UnbranchedRouter, Wiring
from mtlkit.routers.experts import Experts, ExpertSharing, by_task


class Gate(nn.Module):
    """w(x) S with w(x) = softmax(W x): inputs (N, D) and experts (N, E, W) to (N, W)."""

    def __init__(self, features: int, experts: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, experts, bias=False)

    def forward(self, inputs: Tensor, experts: Tensor) -> Tensor:
        weights = torch.softmax(self.layer(inputs).float(), dim=-1).to(experts.dtype)
        return (weights.unsqueeze(1) @ experts).squeeze(1)


class ExtractionLevel(nn.Module):
    """One level: own and shared experts, a gate for each task, and one for the way on, if any."""

    def __init__(
        self, features: int, width: int, tasks: int, shared: int, own: int, *, goes_on: bool
    ) -> None:
        super().__init__()
        self.shared = Experts(features, shared, width)
        self.own = nn.ModuleList(Experts(features, own, width) for _ in range(tasks))
        self.gates = nn.ModuleList(Gate(features, own + shared) for _ in range(tasks))
        self.way_on = Gate(features, tasks * own + shared) if goes_on else None

    def forward(self, shared: Tensor, own: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """What enters the next level: for all (N, W), and for each of T tasks (N, W)."""
        common = self.shared(shared)
        special = [experts(inputs) for experts, inputs in zip(self.own, own, strict=True)]
        found = [
            gate(inputs, torch.cat([mine, common], dim=1))
            for gate, inputs, mine in zip(self.gates, own, special, strict=True)
        ]
        if self.way_on is not None:
            shared = self.way_on(shared, torch.cat([*special, common], dim=1))
        return shared, found


class ExtractionRouter(UnbranchedRouter):
    """CGC with one level, PLE with more; the features of the backbone enter the first."""

    def __init__(
        self, wiring: Wiring, config: ExpertSharing, shared: int, own: int, levels: int
    ) -> None:
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features
        wide, tasks = config.head_features(self.features), len(self.tasks)
        self.levels = nn.ModuleList(
            ExtractionLevel(
                wide if level else self.features,
                wide,
                tasks,
                shared,
                own,
                goes_on=level < levels - 1,
            )
            for level in range(levels)
        )

    def forward(self, inputs: Tensor) -> Features:
        return Features(self.backbone(inputs))

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.levels,)

    def own_features(self, features: Tensor, maps: Tensor | None) -> Mapping[str, Tensor]:
        shared, own = features, [features] * len(self.tasks)
        for level in self.levels:
            shared, own = level(shared, own)
        return by_task(self.tasks, torch.stack(own, dim=1))
