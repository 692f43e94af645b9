"""The head `margin` is the published losses in training, and plain cosines afterwards."""

import math

import pytest
import torch
import torch.nn.functional as F

from mtlkit.backbones import VectorFeatures
from mtlkit.data import ClassTarget
from mtlkit.errors import AssemblyError
from mtlkit.heads import Margin
from mtlkit.metrics import Accuracy
from mtlkit.optim import AdamW
from mtlkit.testing import small_recipe
from mtlkit.testing.small_data import small_updater

WIDTH = VectorFeatures(width=4)

CLASSES = ("a", "b", "c")
FEATURES = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)) * 3
TARGET = torch.tensor([0, 1, 2, 2, 1, 0])

KINDS = {
    "ArcFace": (Margin(), 0.5, 0.0, 1.0),
    "CosFace": (Margin(angle=0.0, additive=0.35), 0.0, 0.35, 1.0),
    "combined": (Margin(angle=0.3, additive=0.2), 0.3, 0.2, 1.0),
    "SphereFace's": (Margin(angle=0.0, multiplier=1.35), 0.0, 0.0, 1.35),
}


def head_of(config):
    torch.manual_seed(1)
    return config.build(WIDTH, ClassTarget(names=CLASSES))


def textbook(head, features, target, angle, additive, multiplier):
    """Cross-entropy of s cos(m1 t + m2) - s m3, by arc cosines in float64."""
    cosine = (F.normalize(features) @ F.normalize(head.directions.detach()).T).double()
    own = torch.cos(multiplier * cosine.acos() + angle) - additive
    is_own = F.one_hot(target, len(CLASSES)).bool()
    return F.cross_entropy(
        head.config.scale * torch.where(is_own, own, cosine), target, reduction="none"
    ).float()


@pytest.mark.parametrize("name", KINDS)
def test_in_training_it_is_the_textbook(name):
    config, *margins = KINDS[name]
    head = head_of(config)
    angles = (F.normalize(FEATURES) @ F.normalize(head.directions).T).acos()
    own = angles[torch.arange(6), TARGET]
    # beyond pi, cos is continued by a line; not with a multiplier
    within = (own + margins[0] < math.pi) | (margins[2] != 1)
    assert within.sum() >= 4
    found = head.loss(FEATURES, TARGET)
    wanted = textbook(head, FEATURES, TARGET, *margins)
    torch.testing.assert_close(found[within], wanted[within], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [*(kind[0] for kind in KINDS.values()), Margin(adaptive=True)])
def test_out_of_training_there_is_no_margin(config):
    head = head_of(config).eval()
    outputs = head(FEATURES)
    torch.testing.assert_close(
        head.loss(FEATURES, TARGET), F.cross_entropy(outputs, TARGET, reduction="none")
    )
    cosines = F.cosine_similarity(FEATURES[:, None], head.directions[None], dim=2)
    torch.testing.assert_close(outputs, 64 * cosines)
    before = head.running.clone()
    head.loss(FEATURES, TARGET)
    assert torch.equal(head.running, before)


def test_the_length_of_features_and_directions_says_nothing():
    head = head_of(Margin()).eval()
    outputs = head(FEATURES)
    with torch.no_grad():
        head.directions *= 5
    torch.testing.assert_close(head(FEATURES * 7), outputs)


def test_adaface_has_the_margins_of_its_paper():
    """Eq. 12 and 13: z from running mean and deviation; angle -m z, additive m (z + 1)."""
    head = head_of(Margin(adaptive=True, angle=0.4, scale=16.0))
    target = torch.tensor([0, 1, 2, -1, 1, 0])
    found = head.loss(FEATURES, target)
    present = target != -1
    lengths = FEATURES.norm(dim=1)
    mean = 0.99 * 20 + 0.01 * lengths[present].mean()
    deviation = 0.99 * 100 + 0.01 * lengths[present].std()
    torch.testing.assert_close(head.running, torch.stack([mean, deviation]))
    z = ((lengths - mean) / (deviation + 1e-3) * 0.333).clamp(-1, 1)
    for row in present.nonzero().flatten().tolist():
        one = slice(row, row + 1)
        margins = (-0.4 * z[row].item(), 0.4 * (z[row].item() + 1), 1.0)
        wanted = textbook(head, FEATURES[one], target[one], *margins)
        torch.testing.assert_close(found[one], wanted, rtol=1e-4, atol=1e-4)
    assert found[3] == 0


def test_lengths_of_fewer_than_two_samples_are_not_remembered():
    head = head_of(Margin(adaptive=True))
    before = head.running.clone()
    for target in (torch.full((6,), -1), torch.tensor([-1, -1, 0, -1, -1, -1])):
        assert head.loss(FEATURES, target).isfinite().all()
        assert torch.equal(head.running, before)
    assert "running" in head.state_dict()
    assert head_of(Margin()).state_dict()["running"].numel() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"scale": 0.0}, "scale: expected a number above 0, got 0.0"),
        ({"angle": -0.1}, "angle: expected a number from 0 to 1.5, got -0.1"),
        ({"additive": 1.5}, "additive: expected a number from 0 to 1, got 1.5"),
        ({"multiplier": 0.5}, "multiplier: expected a number from 1 to 4, got 0.5"),
        ({"adaptive": True, "additive": 0.3}, "adaptive: expected no other margin than `angle`"),
        ({"adaptive": True, "multiplier": 2.0}, "got additive 0.0 and multiplier 2.0"),
        (
            {"implementation": "fused-grad"},
            "implementation: expected one of auto, eager, compiled, sa",
        ),
    ],
)
def test_options_that_make_no_sense(options, words):
    with pytest.raises(ValueError, match=r".*") as caught:
        Margin(**options)
    assert words in str(caught.value)


def test_a_stated_class_count_must_agree():
    with pytest.raises(AssemblyError, match="states 4 classes, the training data has 3"):
        Margin(classes=4).build(WIDTH, ClassTarget(names=CLASSES))


def test_it_learns_the_main_task_of_a_recipe():
    """The share of right answers on what it was trained on; without training it is near a third."""
    import attrs

    recipe = small_recipe()
    tasks = {"kind": attrs.evolve(recipe.tasks["kind"], head=Margin(scale=16.0))}
    updater = small_updater(attrs.evolve(recipe, tasks=tasks, optimizer=AdamW(lr=0.01)))
    for step in range(60):
        updater.update(step)
    model, data = updater.inner.model.eval(), updater.context.data.train
    with torch.no_grad():
        features = model.router.backbone(data.inputs.float() / 127.5 - 1)
    accuracy = Accuracy().build(ClassTarget(names=CLASSES))
    accuracy.update(model.head("kind")(features), updater.context.targets["train"]["kind"])
    assert accuracy.compute() > 0.6


@pytest.mark.parametrize(("share", "seen"), [(0.0, 6), (0.3, 9), (0.99, 30), (1.0, 30)])
def test_in_training_a_sample_of_the_classes_is_compared(share, seen):
    """Partial FC: all classes of the batch, and of the others as many as the share asks for."""
    torch.manual_seed(2)
    head = Margin(sample=share).build(WIDTH, ClassTarget(names=tuple(map(str, range(30)))))
    target = torch.tensor([0, 1, 29, 2, 3, -1])
    head.loss(FEATURES, target).sum().backward()
    moved = head.directions.grad.abs().sum(dim=1) > 0
    assert moved.sum() == seen
    assert moved[target[:5]].all()


def test_a_sample_changes_with_every_step_and_is_the_loss_of_its_classes():
    torch.manual_seed(2)
    head = Margin(sample=0.5).build(WIDTH, ClassTarget(names=tuple(map(str, range(30)))))
    sampled = torch.stack([head.loss(FEATURES, TARGET).sum() for _ in range(8)])
    assert len(sampled.unique()) > 1
    whole = Margin().build(WIDTH, ClassTarget(names=tuple(map(str, range(30)))))
    whole.load_state_dict(head.state_dict())
    assert (sampled < whole.loss(FEATURES, TARGET).sum()).all()  # fewer rivals, a lower loss
    torch.testing.assert_close(
        head.eval().loss(FEATURES, TARGET), whole.eval().loss(FEATURES, TARGET)
    )
