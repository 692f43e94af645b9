"""Customized gate control and progressive layered extraction (Tang et al., RecSys 2020)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mtlkit.routers.base import Wiring
from mtlkit.routers.experts import ExpertRouter, Experts, ExpertSharing


class ExpertGate(nn.Module):
    """Mixtures w(x) S (..., W), w(x) = softmax(W x), of rows x (..., D), experts S (..., E, W)."""

    def __init__(self, features: int, experts: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, experts, bias=False)

    def forward(self, inputs: Tensor, experts: Tensor) -> Tensor:
        weights = torch.softmax(self.layer(inputs).float(), dim=-1).to(experts.dtype)
        return (weights.unsqueeze(-2) @ experts).squeeze(-2)


class ExtractionLevel(nn.Module):
    """One level: shared and task-specific experts, and gates; the last level has no shared gate."""

    def __init__(
        self, features: int, width: int, tasks: int, shared: int, per_task: int, *, last: bool
    ) -> None:
        super().__init__()
        self.shared = Experts(features, shared, width)
        self.per_task = nn.ModuleList(Experts(features, per_task, width) for _ in range(tasks))
        self.gates = nn.ModuleList(ExpertGate(features, per_task + shared) for _ in range(tasks))
        self.shared_gate = None if last else ExpertGate(features, tasks * per_task + shared)

    def forward(self, shared: Tensor, per_task: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the inputs of the next level: shared rows (..., W), and those of each task."""
        common = self.shared(shared)
        special = [experts(inputs) for experts, inputs in zip(self.per_task, per_task, strict=True)]
        mixtures = [
            gate(inputs, torch.cat([outputs, common], dim=-2))
            for gate, inputs, outputs in zip(self.gates, per_task, special, strict=True)
        ]
        if self.shared_gate is not None:
            shared = self.shared_gate(shared, torch.cat([*special, common], dim=-2))
        return shared, mixtures


class ExtractionRouter(ExpertRouter):
    """CGC with one level, PLE with several; the first level reads the backbone's features."""

    def __init__(
        self, wiring: Wiring, config: ExpertSharing, shared: int, per_task: int, levels: int
    ) -> None:
        super().__init__(wiring)
        width, tasks = config.head_features(self.features).width, len(self.tasks)
        self.levels = nn.ModuleList(
            ExtractionLevel(size, width, tasks, shared, per_task, last=number == levels)
            for number, size in enumerate([self.features.width] + [width] * (levels - 1), 1)
        )

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.levels,)

    def mixtures(self, rows: Tensor) -> Tensor:
        shared, per_task = rows, [rows] * len(self.tasks)
        for level in self.levels:
            shared, per_task = level(shared, per_task)
        return torch.stack(per_task, dim=-2)
