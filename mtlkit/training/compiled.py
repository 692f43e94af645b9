"""The backbone by torch.compile."""

from mtlkit.backbones.base import BackboneModule, SplittableBackbone
from mtlkit.errors import AssemblyError
from mtlkit.model import MultiTaskModel


def compile_backbone(model: MultiTaskModel) -> None:
    """Compile the backbone of `model` in place; `AssemblyError` where its router has none.

    Only the backbone: gradients at the features are taken from the graph behind it, and a whole
    compiled model has no such place. A backbone that can be taken apart is called by its parts,
    so its parts are what is compiled.
    """
    backbones = [m for m in model.router.modules() if isinstance(m, BackboneModule)]
    if not backbones:
        raise AssemblyError(
            f"train.compile: {type(model.router).__name__} has no backbone that could be compiled; "
            f"use `compile: false`"
        )
    for backbone in backbones:
        splittable = isinstance(backbone, SplittableBackbone)
        for part in backbone.children() if splittable else [backbone]:
            part.compile()
