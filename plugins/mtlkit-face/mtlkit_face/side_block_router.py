"""The network of two last blocks; see `side_block.SideBlock`."""

from torch import Tensor

from mtlkit.backbones import SplittableBackbone
from mtlkit.errors import AssemblyError
from mtlkit.routers import Features, UnbranchedRouter, Wiring
from mtlkit_face.side_block import SideBlock


class SideBlockRouter(UnbranchedRouter):
    """A trunk, its own last block for most tasks, and another for those of `side`."""

    def __init__(self, config: SideBlock, wiring: Wiring) -> None:
        super().__init__()
        if not isinstance(wiring.backbone, SplittableBackbone):
            raise AssemblyError(
                f"router: {type(wiring.backbone).__name__} cannot be taken apart before its last "
                f"block; use a backbone such as casia-net, or `router: shared`"
            )
        self.backbone = wiring.backbone
        self.features = wiring.backbone.features
        self.tasks, self.side = wiring.tasks, frozenset(config.tasks)
        self.side_block = wiring.backbone.new_tail()

    def forward(self, inputs: Tensor) -> Features:
        maps = self.backbone.stem(inputs)
        main, side = self.backbone.tail(maps), self.side_block(maps)
        own = {task: side if task in self.side else main for task in self.tasks}
        return Features(main, own=own)
