"""Learning to branch (Guo, Lee & Ulbricht, ICML 2020).

Paper: Pengsheng Guo, Chen-Yu Lee and Daniel Ulbricht, "Learning to Branch for Multi-Task Learning",
ICML 2020.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import above, at_least, below
from mtlkit.features.inputs import Batch
from mtlkit.routers.base import Features, RouterModule, Wiring
from mtlkit.routers.experts import ExpertRouter, Experts, ExpertSharing, mixed


@attrs.frozen(kw_only=True)
class LearnToBranch(ExpertSharing):
    """A tree whose branches are learned by sampling (Guo, Lee & Ulbricht, ICML 2020).

    Each of the `nodes` of a level, and each task, has one parent in the level above: a
    Gumbel-softmax sample in training, the most likely parent in evaluation. The temperature starts
    at `temperature` and is multiplied by `cooling` after each training pass, down to 0.1. `width`
    is the width of a node's features; None uses that of the backbone.
    """

    levels: int = attrs.field(default=2, validator=at_least(1))
    nodes: int = attrs.field(default=3, validator=at_least(2))
    temperature: float = attrs.field(default=10.0, validator=above(0))
    cooling: float = attrs.field(default=0.99, validator=below(1))

    def build(self, wiring: Wiring) -> "RouterModule":
        return LearnToBranchRouter(self, wiring)


MIN_TEMPERATURE = 0.1
"""Temperature at which cooling ends; samples are then close to one-hot."""


class ParentChoice(nn.Module):
    """Parent of each of M children among P parents, sampled from softmax(alpha).

    In training the sample is relaxed: softmax((alpha + g) / temperature) with Gumbel noise g,
    drawn once per pass, so that all tasks use one tree. In evaluation it is the most likely parent.
    """

    def __init__(self, children: int, parents: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(children, parents))
        self.gumbel = nn.Buffer(torch.zeros(children, parents), persistent=False)

    def draw(self) -> None:
        """Draw the noise of one pass."""
        self.gumbel.exponential_().log_().neg_()

    def forward(self, temperature: Tensor) -> Tensor:
        """Return the weight of each parent for each child (M, P)."""
        alpha = self.alpha.float()
        if not self.training:
            return torch.zeros_like(alpha).scatter(1, alpha.argmax(dim=1, keepdim=True), 1.0)
        return ((alpha + self.gumbel) / temperature).softmax(dim=1)


class LearnToBranchRouter(ExpertRouter):
    """Levels of nodes y_j = f_j(sum_i d_ij y_i); tasks select among the nodes of the last level.

    The nodes of the first level read the backbone's features, the root of the tree.
    """

    def __init__(self, config: LearnToBranch, wiring: Wiring) -> None:
        super().__init__(wiring)
        self.start, self.cooling = config.temperature, config.cooling
        width, nodes = config.head_features(self.features).width, config.nodes
        self.first = Experts(self.features.width, nodes, width)
        self.nodes = nn.ModuleList(
            nn.ModuleList(Experts(width, 1, width) for _ in range(nodes))
            for _ in range(config.levels - 1)
        )
        children = [nodes] * (config.levels - 1) + [len(self.tasks)]
        self.parents = nn.ModuleList(ParentChoice(number, nodes) for number in children)
        self.passes: Tensor = nn.Buffer(torch.tensor(0))  # forward passes in training

    def forward(self, inputs: Batch) -> Features:
        if self.training:
            self.passes += 1
            for choice in self.parents:
                assert isinstance(choice, ParentChoice)
                choice.draw()
        return super().forward(inputs)

    def own_modules(self) -> Sequence[nn.Module]:
        return (self.first, self.nodes, self.parents)

    def mixtures(self, rows: Tensor) -> Tensor:
        temperature, outputs = self.temperature, self.first(rows)
        for level, parents in zip(self.nodes, self.parents, strict=False):
            assert isinstance(level, nn.ModuleList)
            inputs = mixed(parents(temperature), outputs).unbind(dim=-2)
            outputs = torch.cat([node(x) for node, x in zip(level, inputs, strict=True)], dim=-2)
        return mixed(self.parents[-1](temperature), outputs)

    @property
    def temperature(self) -> Tensor:
        """Temperature of the samples in this pass."""
        factor = self.cooling ** (self.passes - 1).clamp(min=0)
        return (self.start * factor).clamp(min=min(MIN_TEMPERATURE, self.start))
