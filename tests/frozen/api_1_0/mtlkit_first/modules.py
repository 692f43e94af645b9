"""What the components build."""

import math

import torch
from torch import nn

from mtlkit.backbones.module import BackboneModule
from mtlkit.data.dataset import Categorical, Data, Numeric, Split
from mtlkit.heads.module import HeadModule
from mtlkit.routing.grouped import BranchesModule
from mtlkit.routing.module import Features, RouterModule
from mtlkit.weighting.module import (
    Directed,
    GramianWeighting,
    JacobianWeighting,
    LossWeighting,
    Weighted,
)


class TrunkModule(BackboneModule):
    def __init__(self, width, sample_shape):
        super().__init__()
        self.layer = nn.Linear(math.prod(sample_shape), width)
        self.features = width

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)).relu()


class AbsoluteHead(HeadModule):
    def __init__(self, features):
        super().__init__()
        self.layer = nn.Linear(features, 1)

    def forward(self, features):
        return self.layer(features).squeeze(-1).float()

    def loss(self, features, target):
        present = self.present(target)
        error = self(features) - torch.where(present, target, 0.0)
        return torch.where(present, error.abs(), 0.0)

    def present(self, target):
        return ~target.isnan()

    def metrics(self, outputs, target):
        present = self.present(target)
        return {"mae": (outputs - target)[present].abs().mean().item()} if present.any() else {}


class PlainRouter(RouterModule):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.features = backbone.features

    def forward(self, inputs):
        return Features(self.backbone(inputs))

    def branch_present(self, present, targets):
        return {}

    def branch_losses(self, features, targets):
        return {}

    def branch_outputs(self, features, logits, targets):
        return {}


class LinearBranches(BranchesModule):
    def __init__(self, wiring, task, groups):
        super().__init__()
        size = wiring.backbone.features
        self.heads = nn.ModuleList(wiring.new_head(task, size) for _ in range(groups))

    def losses(self, group, features, target):
        found = torch.zeros(len(target))
        for number, head in enumerate(self.heads):
            index = (group == number).nonzero().flatten()
            if len(index):
                own = head.loss(features.shared[index], target[index])
                found = found.index_add(0, index, own)
        return found

    def outputs(self, features):
        return torch.stack([head(features.shared) for head in self.heads], dim=1)


class SumWeights(LossWeighting):
    def forward(self, losses):
        return Weighted(losses.mean.sum(), torch.ones_like(losses.mean).detach())


class NormWeights(GramianWeighting):
    def forward(self, gramian, known):
        return 1 / gramian.diagonal().clamp(min=1e-12).sqrt()


class SumDirection(JacobianWeighting):
    def forward(self, jacobian, known):
        return Directed(jacobian.sum(dim=0), torch.ones(len(jacobian)))


def numbers(samples):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 3, generator=generator)
    train = Split(
        inputs=inputs,
        columns={
            "sign": Categorical((inputs[:, 0] > 0).long(), ("below", "above")),
            "sum": Numeric(inputs.sum(dim=1)),
        },
        ids=[str(number) for number in range(samples)],
    )
    return Data(train=train, validation=train.subset(torch.arange(4)), centre=0.0, scale=1.0)
