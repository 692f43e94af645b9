"""The last block of the side tasks, as the authors' released networks have it."""

import attrs
import pytest
import torch
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.networks.side_block import SideBlock
from mtlkit_face.networks.yin_liu import m_cnn

from mtlkit.assembly import Assembly
from mtlkit.backbones import MLP
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.model import assemble
from mtlkit.plugins import AssemblyError

SIDE = ("pose", "illumination", "expression")
RECIPE = attrs.evolve(m_cnn(Rendered(), width=0.1), router=SideBlock(tasks=SIDE))
ASSEMBLY = Assembly(
    inputs=InputSpec(shape=(1, 32, 32), mean=(127.5,), std=(128.0,)),
    targets=dict.fromkeys(RECIPE.tasks, ClassTarget(names=("a", "b", "c"))),
)


def network():
    torch.manual_seed(0)
    return assemble(RECIPE.backbone, RECIPE.router, RECIPE.tasks, ASSEMBLY)


def test_a_task_moves_the_block_it_hangs_on_and_the_trunk_but_not_the_other_block():
    images = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
    for task in RECIPE.tasks:
        model = network()
        model(images).outputs[task].square().sum().backward()
        own, other = model.router.side_block, model.router.backbone.last_block
        if task not in SIDE:
            own, other = other, own
        assert all(parameter.grad is not None for parameter in own.parameters())
        assert all(parameter.grad is None for parameter in other.parameters())
        trunk = model.router.backbone.first_blocks
        assert all(parameter.grad is not None for parameter in trunk.parameters())


def test_the_side_tasks_share_one_block():
    model = network().eval()
    features = model.all_features(torch.zeros(2, 1, 32, 32))
    assert {features.source(task) for task in SIDE} == {"side"}
    assert all(features.of(task) is features.of(SIDE[0]) for task in SIDE)
    assert features.source("identity") == "main"
    assert features.of("identity") is features.shared


def test_a_backbone_in_one_piece_is_refused():
    with pytest.raises(
        AssemblyError, match="MLPBackbone cannot be taken apart before its last block"
    ):
        assemble(MLP(), RECIPE.router, RECIPE.tasks, ASSEMBLY)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (("poes",), "no task named 'poes'; the tasks are identity, pose, illumination, expression"),
        (("identity", *SIDE), "names every task, so that none is left"),
        ((), "expected tasks for the second block, got none"),
    ],
)
def test_wrong_tasks_are_named(tasks, message):
    (problem,) = attrs.evolve(RECIPE, router=SideBlock(tasks=tasks)).problems()
    assert problem.path == ("router", "tasks")
    assert message in problem.message
