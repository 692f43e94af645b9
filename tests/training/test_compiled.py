"""The backbone by torch.compile gives the same updates."""

import attrs
import pytest
import torch

from mtlkit.backbones import CasiaNet
from mtlkit.errors import AssemblyError
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.compiled import compile_backbone


# tracing looks at the gradients of what is no leaf, and torch warns of itself
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("grouped", [False, True])
def test_compiled_updates_are_the_eager_ones(points, grouped, monkeypatch):
    plain = torch.compile
    # the eager backend traces the graph as any other does, without a compiler's half minute
    monkeypatch.setattr(torch, "compile", lambda f, **k: plain(f, **{**k, "backend": "eager"}))
    recipe = points.PLAIN
    if grouped:
        backbone = CasiaNet(width=0.05, dropout=0)
        recipe = attrs.evolve(recipe, router=points.GROUPED, backbone=backbone)
    train = attrs.evolve(recipe.train, compile=True)
    eager, compiled = points.updater(recipe), points.updater(attrs.evolve(recipe, train=train))
    for step in range(2):
        eager.update(step)
        compiled.update(step)
    expected, found = tensors_of(eager.inner), tensors_of(compiled.inner)
    assert set(found) == set(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)


def test_a_network_without_a_backbone_cannot_be_compiled(points):
    model = points.updater(points.PLAIN).inner.model
    model.router.backbone = torch.nn.Identity()
    with pytest.raises(AssemblyError, match=r"train\.compile: SharedRouter has no backbone"):
        compile_backbone(model)
