"""Division of the backbone's parameters among processes by FSDP2.

Paper: Yanli Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", VLDB
2023.
"""

from collections.abc import Iterator

import torch
from torch import nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.model import MultiTaskModel
from mtlkit.training.devices.ranks import Ranks


def shard_backbone(model: MultiTaskModel, ranks: Ranks, device: torch.device) -> None:
    """Divide the parameters of the backbone of `model` among the processes, in place.

    Each item of the backbone's outermost sequences and lists is gathered by itself. This replaces
    parameters, so call it before anything refers to them.
    """
    if ranks.world == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (ranks.world,))
    for backbone in [m for m in model.router.modules() if isinstance(m, BackboneModule)]:
        for unit in _units(backbone):
            fully_shard(unit, mesh=mesh)
        fully_shard(backbone, mesh=mesh)


def _units(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the items with parameters of the outermost sequences and lists in `module`."""
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            for item in child:
                if isinstance(item, nn.Sequential | nn.ModuleList):
                    yield from _units(item)
                elif any(True for _ in item.parameters()):
                    yield item
        else:
            yield from _units(child)
