"""Attributes predicted from latent tasks that all of them share (Abdulnabi et al. 2015).

Paper: Abrar H. Abdulnabi, Gang Wang, Jiwen Lu and Kui Jia, "Multi-Task CNN Model for Attribute
Prediction", IEEE Transactions on Multimedia 2015.
"""

from collections.abc import Mapping
from itertools import chain

import attrs
import torch
from torch import Tensor, nn

from mtlkit.component import at_least, at_least_number
from mtlkit.errors import AssemblyError
from mtlkit.features.base import FeatureSpec
from mtlkit.heads.base import Head, HeadModule
from mtlkit.heads.elements import sample_means
from mtlkit.metrics.auroc import AUROC
from mtlkit.metrics.f1 import F1
from mtlkit.targets.base import Target
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.task_types import MISSING


@attrs.frozen(kw_only=True)
class LatentTasks(Head):
    """Labels as combinations of latent tasks that all labels share (Abdulnabi et al. 2015).

    The weights of K labels are W = L S, with the latent task matrix L (D, `latent`) and the
    combination matrix S (`latent`, K). `sparsity` (the paper's gamma) penalizes sum_k sum_g
    |s_k^g|, with s_k^g the entries of latent task k for the labels of group g: labels of one of the
    `groups` share latent tasks, and groups compete for them. Labels in no group form one more. The
    penalty of L is the optimizer's `weight_decay`. Outputs are margins, not log-odds.
    """

    targets = (MultiLabelTarget,)
    default_metrics = (AUROC(), F1())

    latent: int = attrs.field(default=8, validator=at_least(1))
    groups: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    sparsity: float = attrs.field(default=1e-3, validator=at_least_number(0))

    def build(self, features: FeatureSpec, target: Target) -> "HeadModule":
        assert isinstance(target, MultiLabelTarget)
        listed = [*chain.from_iterable(self.groups.values())]
        for name in listed:
            if name not in target.names or listed.count(name) > 1:
                raise AssemblyError(
                    f"groups: got {name!r} {listed.count(name)} times, expected each of the labels "
                    f"{', '.join(target.names)} at most once; correct the groups"
                )
        others = tuple(name for name in target.names if name not in listed)
        groups = [group for group in (*self.groups.values(), others) if group]
        members = [[name in group for name in target.names] for group in groups]
        return LatentTasksHead(self, features.width, torch.tensor(members))


class LatentTasksHead(HeadModule):
    """Margins (N, K) of features (N, D) and the mean squared hinge loss over the present labels.

    With the margin f = (L s)' x + b and y = 1 or -1, the loss of a label is max(0, 1 - y f)^2 / 2.
    The penalty of S is part of the loss of each sample with a label, and so of their mean.
    `members` (G, K) are true for the labels of each group.

    >>> members = torch.tensor([[True, True, False], [False, False, True]])
    >>> head = LatentTasksHead(LatentTasks(latent=2, sparsity=0.5), 8, members)
    >>> _ = torch.nn.init.constant_(head.combination.weight, 3.0)
    >>> round(head.penalty().item(), 3)  # 0.5 * 2 latent tasks * (sqrt(3^2 + 3^2) + 3)
    7.243
    """

    def __init__(self, config: LatentTasks, features: int, members: Tensor) -> None:
        super().__init__()
        self.sparsity = config.sparsity
        self.latent = nn.Linear(features, config.latent, bias=False)  # L'
        self.combination = nn.Linear(config.latent, members.shape[1])  # S' and b
        self.members = nn.Buffer(members.unsqueeze(-1).float(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        margins: Tensor = self.combination(self.latent(features))
        return margins

    def loss(self, features: Tensor, target: Tensor) -> Tensor:
        present = target != MISSING
        signs = torch.where(target > 0, 1.0, -1.0)
        losses = (1 - signs * self(features).float()).clamp(min=0).square() / 2
        means = sample_means(torch.where(present, losses, 0.0), present)
        return means + present.any(dim=1) * self.penalty()

    def penalty(self) -> Tensor:
        """Return the sum over latent tasks and groups of the norms of S, times `sparsity`."""
        norms = torch.linalg.vector_norm(self.combination.weight * self.members, dim=1)
        total: Tensor = self.sparsity * norms.sum()
        return total
