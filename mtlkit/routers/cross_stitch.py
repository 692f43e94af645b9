"""Cross-stitch networks (Misra, Shrivastava, Gupta & Hebert, CVPR 2016).

Paper: Ishan Misra, Abhinav Shrivastava, Abhinav Gupta and Martial Hebert, "Cross-stitch Networks
for Multi-task Learning", CVPR 2016.
"""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import SplittableBackbone
from mtlkit.component import between
from mtlkit.features.base import FeatureSpec
from mtlkit.features.inputs import Batch
from mtlkit.routers.base import Features, RouterModule, Unbranched, UnbranchedRouter, Wiring


@attrs.frozen(kw_only=True)
class CrossStitch(Unbranched):
    """A network for each task, joined by cross-stitch units (Misra et al., CVPR 2016, eq. 1).

    Units mix the networks' features and, if the backbone can be split, the maps before its last
    block. `same_task` is the initial weight of the task's own network; the other networks share the
    rest. Tasks share no features.
    """

    reads = (FeatureSpec,)

    same_task: float = attrs.field(default=0.9, validator=between(0, 1))

    @property
    def shared_features(self) -> bool:
        return False

    def build(self, wiring: Wiring) -> "RouterModule":
        return CrossStitchRouter(self, wiring)


class CrossStitchUnit(nn.Module):
    """Mixtures x~_s = sum_t alpha_st x_t of the activations of T networks (eq. 1).

    >>> unit = CrossStitchUnit(2, same_task=0.9)
    >>> [round(x.item(), 6) for x in unit([torch.tensor(1.0), torch.tensor(0.0)])]
    [0.9, 0.1]
    """

    def __init__(self, tasks: int, same_task: float) -> None:
        super().__init__()
        others = (1 - same_task) / max(tasks - 1, 1)
        alpha = torch.full((tasks, tasks), others).fill_diagonal_(same_task if tasks > 1 else 1.0)
        self.alpha = nn.Parameter(alpha)

    def forward(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Return a mixture for each task, from T tensors of one shape."""
        stacked = torch.stack(list(activations))
        return list(torch.tensordot(self.alpha.to(stacked), stacked, dims=1))


class CrossStitchRouter(UnbranchedRouter):
    """T backbones, one for each task, with units at the features and, if available, at the maps."""

    def __init__(self, config: CrossStitch, wiring: Wiring) -> None:
        super().__init__()
        self.tasks = wiring.tasks
        others = [wiring.new_backbone() for _ in wiring.tasks[1:]]
        self.backbones = nn.ModuleList([wiring.backbone, *others])
        self.features = wiring.backbone.features
        self.at_features = CrossStitchUnit(len(wiring.tasks), config.same_task)
        self.at_maps = None
        if isinstance(wiring.backbone, SplittableBackbone):
            self.at_maps = CrossStitchUnit(len(wiring.tasks), config.same_task)

    def forward(self, inputs: Batch) -> Features:
        mixed = self.at_features(self._network_features(inputs))
        per_task = dict(zip(self.tasks, mixed, strict=True))
        return Features(torch.stack(mixed).mean(dim=0), per_task=per_task)

    def _network_features(self, inputs: Batch) -> list[Tensor]:
        """Return the features of each network before mixing."""
        if self.at_maps is None:
            return [backbone(inputs) for backbone in self.backbones]
        parts = [b for b in self.backbones if isinstance(b, SplittableBackbone)]
        maps = self.at_maps([backbone.stem(inputs) for backbone in parts])
        return [backbone.tail(mixed) for backbone, mixed in zip(parts, maps, strict=True)]
