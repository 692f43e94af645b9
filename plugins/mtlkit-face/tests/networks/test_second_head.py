"""The second head without poses: what it shares, and its template."""

import attrs
import pytest
import torch
from mtlkit_face.data.rendered import Rendered
from mtlkit_face.identification.template import template
from mtlkit_face.networks.second_head import SecondHead, SharedPart
from mtlkit_face.networks.yin_liu import s_cnn

from mtlkit.assembly import Assembly
from mtlkit.backbones import MLP
from mtlkit.data import ClassTarget, InputSpec
from mtlkit.model import assemble
from mtlkit.plugins import AssemblyError

RECIPE = s_cnn(Rendered(), width=0.1)
ASSEMBLY = Assembly(
    inputs=InputSpec(shape=(1, 32, 32), mean=(127.5,), std=(128.0,)),
    targets={"identity": ClassTarget(names=("a", "b", "c"))},
)
IMAGES = torch.randint(0, 256, (4, 1, 32, 32), dtype=torch.uint8)
TARGETS = {"identity": torch.tensor([0, 1, 2, 0])}


def network(shares: SharedPart):
    torch.manual_seed(0)
    router = SecondHead(task="identity", shares=shares)
    return assemble(RECIPE.backbone, router, RECIPE.tasks, ASSEMBLY)


@pytest.mark.parametrize(
    ("shares", "moved"),
    [
        (SharedPart.FEATURES, {"first_blocks", "last_block"}),
        (SharedPart.STEM, {"first_blocks"}),
        (SharedPart.NOTHING, set()),
    ],
)
def test_the_second_loss_moves_what_is_shared_and_its_own_parts_alone(shares, moved):
    model = network(shares)
    router = model.router
    (loss,) = router.branch_losses(model.all_features(IMAGES), TARGETS).values()
    loss.sum().backward()
    parts = dict(router.backbone.named_children())
    trained = {
        name for name, part in parts.items() if all(p.grad is not None for p in part.parameters())
    }
    assert trained == moved
    assert all(p.grad is not None for p in router.second.head.parameters())
    separate = {SharedPart.STEM: "block", SharedPart.NOTHING: "backbone"}
    if shares in separate:
        block = getattr(router.second, separate[shares])
        assert all(p.grad is not None for p in block.parameters())


@pytest.mark.parametrize("shares", SharedPart)
def test_the_template_is_that_of_two_networks_of_one_group(shares):
    model = network(shares)  # in training mode, whose batch norm scales the tiny first logits
    predictions = model(IMAGES)
    branches = predictions.branches["identity"]
    assert branches.weights.tolist() == [[1.0]] * 4
    both = template(predictions.outputs["identity"], branches)
    assert both.shape == (4, 6)
    one, two = predictions.outputs["identity"], branches.logits[:, 0]
    cosine = torch.nn.functional.cosine_similarity
    expected = (cosine(one[:1], one[1:]) + cosine(two[:1], two[1:])) / 2
    assert torch.allclose((both[:1] * both[1:]).sum(1), expected, atol=1e-6)


def test_two_networks_start_with_different_weights():
    router = network(SharedPart.NOTHING).router
    first, second = (next(b.parameters()) for b in (router.backbone, router.second.backbone))
    assert not torch.equal(first, second)


def test_a_backbone_that_cannot_be_split_has_no_second_block():
    router = SecondHead(task="identity", shares=SharedPart.STEM)
    with pytest.raises(AssemblyError, match="MLPBackbone cannot be split before its last block"):
        assemble(MLP(), router, RECIPE.tasks, ASSEMBLY)


def test_an_unknown_task_is_named():
    (problem,) = attrs.evolve(RECIPE, router=SecondHead(task="who")).problems()
    assert problem.path == ("router", "task")
    assert problem.message == "no task named 'who'; the tasks are identity"
