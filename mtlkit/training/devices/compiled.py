"""Compilation of the backbone by `torch.compile`."""

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel


def compile_backbone(model: MultiTaskModel) -> None:
    """Compile the backbone of `model` in place; `AssemblyError` if its router has none.

    Only the backbone is compiled: weightings take gradients at the features, which a compiled model
    does not expose, and on a CPU the compiled step takes as long as the eager one (see
    docs/studies/speed.md). Routers call a splittable backbone by its parts, which are compiled.
    """
    backbones = [m for m in model.router.modules() if isinstance(m, BackboneModule)]
    if not backbones:
        raise AssemblyError(
            f"train.compile: {type(model.router).__name__} has no backbone to compile; "
            f"use `compile: false`"
        )
    for backbone in backbones:
        splittable = isinstance(backbone, SplittableBackbone)
        for part in backbone.children() if splittable else [backbone]:
            part.compile()
