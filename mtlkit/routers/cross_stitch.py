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
from mtlkit.routers.base import Features, RouterModule, Unbranched, UnbranchedRouter, Wiring


@attrs.frozen(kw_only=True)
class CrossStitch(Unbranched):
    """A network for each task, joined by cross-stitch units (Misra et al., CVPR 2016, eq. 1).

    A unit mixes what the networks say at one place: the features, and with a backbone that can be
    taken apart the maps before its last block too. `own` is what each network starts with of
    itself; the others share the rest. No feature is shared by all tasks.
    """

    own: float = attrs.field(default=0.9, validator=between(0, 1))

    @property
    def shared_features(self) -> bool:
        return False

    def build(self, wiring: Wiring) -> "RouterModule":
        return CrossStitchRouter(self, wiring)


class CrossStitchUnit(nn.Module):
    """x~_s = sum_t alpha_st x_t for what T networks say at one place (eq. 1).

    >>> unit = CrossStitchUnit(2, own=0.9)
    >>> [round(x.item(), 6) for x in unit([torch.tensor(1.0), torch.tensor(0.0)])]
    [0.9, 0.1]
    """

    def __init__(self, tasks: int, own: float) -> None:
        super().__init__()
        others = (1 - own) / max(tasks - 1, 1)
        alpha = torch.full((tasks, tasks), others).fill_diagonal_(own if tasks > 1 else 1.0)
        self.alpha = nn.Parameter(alpha)

    def forward(self, said: Sequence[Tensor]) -> list[Tensor]:
        """The mixtures, one for each task, of T tensors of one shape."""
        return list(torch.tensordot(self.alpha.to(said[0]), torch.stack(list(said)), dims=1))


class CrossStitchRouter(UnbranchedRouter):
    """T backbones, one for each task, with a unit wherever they can be joined."""

    def __init__(self, config: CrossStitch, wiring: Wiring) -> None:
        super().__init__()
        self.tasks = wiring.tasks
        others = [wiring.new_backbone() for _ in wiring.tasks[1:]]
        self.backbones = nn.ModuleList([wiring.backbone, *others])
        self.features = wiring.backbone.features
        self.at_features = CrossStitchUnit(len(wiring.tasks), config.own)
        self.at_maps = None
        if isinstance(wiring.backbone, SplittableBackbone):
            self.at_maps = CrossStitchUnit(len(wiring.tasks), config.own)

    def forward(self, inputs: Tensor) -> Features:
        own = self.at_features(self._said(inputs))
        return Features(torch.stack(own).mean(dim=0), own=dict(zip(self.tasks, own, strict=True)))

    def _said(self, inputs: Tensor) -> list[Tensor]:
        """The features (N, D) of each network."""
        if self.at_maps is None:
            return [backbone(inputs) for backbone in self.backbones]
        parts = [b for b in self.backbones if isinstance(b, SplittableBackbone)]
        maps = self.at_maps([backbone.stem(inputs) for backbone in parts])
        return [backbone.tail(own) for backbone, own in zip(parts, maps, strict=True)]
