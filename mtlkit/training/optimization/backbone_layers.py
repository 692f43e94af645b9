"""The layers of backbones in order of depth, for rates that fall towards the input.

Paper: Kevin Clark, Minh-Thang Luong, Quoc V. Le and Christopher D. Manning, "ELECTRA: Pre-training
Text Encoders as Discriminators Rather Than Generators", ICLR 2020, appendix A; Hangbo Bao, Li Dong,
Songhao Piao and Furu Wei, "BEiT: BERT Pre-Training of Image Transformers", ICLR 2022.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from mtlkit.backbones.base import BackboneModule
from mtlkit.model import MultiTaskModel


def layer_exponents(model: MultiTaskModel) -> dict[str, int]:
    """Return the exponent of the layer-wise decay for each parameter of a backbone, by name.

    The last of L layers has the exponent 1, the first one L; all other parameters have 0. Layers of
    a timm model are those of timm; of other backbones they are the children that have parameters,
    with sequences expanded.
    """
    exponents: dict[str, int] = {}
    for prefix, module in model.named_modules():
        if isinstance(module, BackboneModule):
            layers = _layers(module)
            last = max(layers.values(), default=0) + 1
            exponents |= {f"{prefix}.{name}": last - layer for name, layer in layers.items()}
    return exponents


def _layers(backbone: nn.Module) -> dict[str, int]:
    """Return the layer of each parameter of `backbone`, from 0."""
    for prefix, child in backbone.named_children():
        patterns: Any = getattr(child, "group_matcher", None)  # of models of timm
        if patterns is not None:
            from timm.models import group_parameters

            grouped: Callable[..., dict[str, int]] = group_parameters
            layers = grouped(child, patterns(coarse=False), reverse=True)
            order = sorted(set(layers.values()))
            return {f"{prefix}.{name}": order.index(number) for name, number in layers.items()}
    blocks = [
        [f"{prefix}.{name}" for name, _ in block.named_parameters()]
        for prefix, block in _blocks(backbone, "")
    ]
    return {name: number for number, names in enumerate(filter(None, blocks)) for name in names}


def _blocks(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        path = f"{prefix}{name}"
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _blocks(child, f"{path}.")
        else:
            yield path, child
