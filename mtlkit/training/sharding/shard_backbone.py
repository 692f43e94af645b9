"""Division of the backbone's parameters among processes by FSDP2.

Paper: Yanli Zhao et al., "PyTorch FSDP: Experiences on Scaling Fully Sharded Data Parallel", VLDB
2023.
"""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.model import MultiTaskModel
from mtlkit.training.devices.ranks import Ranks


def shard_backbone(
    model: MultiTaskModel, ranks: Ranks, device: torch.device
) -> dict[str, nn.Module]:
    """Divide the parameters of the backbone of `model` among the processes, in place.

    Each item of the backbone's outermost sequences and lists is gathered by itself. This replaces
    parameters, so call it before anything refers to them. Returns a copy of each divided module
    without hooks and tensors, by name.
    """
    if ranks.world == 1:
        return {}
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (ranks.world,))
    backbones = {n: m for n, m in model.named_modules() if isinstance(m, BackboneModule)}
    plain = {name: _without_tensors(backbone) for name, backbone in backbones.items()}
    for backbone in backbones.values():
        for unit in _units(backbone):
            fully_shard(unit, mesh=mesh)
        fully_shard(backbone, mesh=mesh)
    return plain


def _without_tensors(module: nn.Module) -> nn.Module:
    """Return a copy of `module` on the meta device, which takes no memory."""
    memo: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in module.parameters()
    }
    memo |= {id(b): torch.empty_like(b, device="meta") for b in module.buffers()}
    return copy.deepcopy(module, memo)


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
