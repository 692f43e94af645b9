"""Heads that read the same features are one call of an op, and lose what each would by itself."""

from collections.abc import Mapping
from types import SimpleNamespace

import attrs
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mtlkit.backbones import VectorFeatures
from mtlkit.data import ClassTarget, NumberTarget
from mtlkit.heads import (
    Classification,
    ClassificationHead,
    HeadModule,
    LinearCrossEntropy,
    LinearHead,
    Margin,
    Regression,
    fusion,
)
from mtlkit.heads.fusion import head_losses
from mtlkit.ops import use
from mtlkit.ops.dispatch.table import builtin_ops
from mtlkit.routers import Features
from mtlkit.routers.linear_branch import LinearBranches

WIDTH = VectorFeatures(width=6)

IMPLEMENTATIONS = {name: tuple(op.implementations) for name, op in builtin_ops().items()}

NAMES = [name for name in IMPLEMENTATIONS["multi_head_cross_entropy"] if name != "triton"]


class Doubled(ClassificationHead):
    """A subclass with another loss."""

    def loss(self, features, target):
        return 2 * super().loss(features, target)


@attrs.frozen(kw_only=True)
class Focal(Classification):
    """A plugin's head with one more option of the loss."""

    focus: float = 2.0

    def build(self, features, target):
        return FocalHead(self, features.width, target.classes)


class FocalHead(ClassificationHead):
    """(1 - p)^focus times the cross-entropy."""

    def __init__(self, config, features, classes):
        super().__init__(config, features, classes)
        self.focus = config.focus

    def loss(self, features, target):
        plain = super().loss(features, target)
        return (1 - (-plain).exp()) ** self.focus * plain


class PluginHead(LinearHead):
    """A plugin's linear head without a bias."""

    def __init__(self, features, classes, smoothing=0.0):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(classes, features))
        self.smoothing = smoothing

    def forward(self, features):
        return F.linear(features, self.directions)

    def cross_entropy(self):
        return LinearCrossEntropy(weight=self.directions, label_smoothing=self.smoothing)

    def metrics(self, outputs, target):
        return {}


def heads_and_targets():
    torch.manual_seed(0)
    plain = Classification()
    heads = {
        "who": plain.build(WIDTH, ClassTarget(names=tuple(map(str, range(9))))),
        "pose": plain.build(WIDTH, ClassTarget(names=("l", "f", "r"))),
        "smooth": Classification(label_smoothing=0.1).build(WIDTH, ClassTarget(names=("a", "b"))),
        "saved-softmax": Classification(implementation="saved-softmax").build(
            WIDTH, ClassTarget(names=("a", "b"))
        ),
        "age": Regression().build(WIDTH, NumberTarget()),
        "angle": Margin().build(WIDTH, ClassTarget(names=("a", "b", "c"))),
        "doubled": Doubled(plain, 6, ("a", "b")),
        "focal": Focal().build(WIDTH, ClassTarget(names=("a", "b"))),
        "plugin": PluginHead(6, 5),
        "smooth plugin": PluginHead(6, 4, smoothing=0.1),
        "light": plain.build(WIDTH, ClassTarget(names=("dark", "light"))),
    }
    targets = {task: torch.tensor([0, -1, 1, 0]) for task in heads}
    targets["age"] = torch.tensor([3.0, torch.nan, 1.0, -1.0])
    return heads, targets


def shared_by(heads):
    """The sources of heads that all read the shared features."""
    return dict.fromkeys(heads, "")


class Scaled(Mapping):
    """Features that are computed when they are read, so that a new tensor can reuse an id."""

    def __init__(self, features, factors):
        self.features, self.factors = features, factors

    def __getitem__(self, task):
        return self.features * self.factors[task]

    def __iter__(self):
        return iter(self.factors)

    def __len__(self):
        return len(self.factors)


@pytest.fixture
def calls(monkeypatch):
    """The numbers of classes of the heads in each call of a fused op."""
    calls = []
    for name in ("multi_head_cross_entropy", "grouped_linear_cross_entropy"):
        op = getattr(fusion, name)

        def spy(features, weights, *arguments, op=op, **options):
            calls.append([len(weight) for weight in weights])
            return op(features, weights, *arguments, **options)

        monkeypatch.setattr(fusion, name, spy)
    return calls


@pytest.mark.parametrize("name", NAMES)
def test_every_head_loses_what_it_would_by_itself(name):
    heads, targets = heads_and_targets()
    features = torch.randn(4, 6, requires_grad=True)
    with use(multi_head_cross_entropy=name):
        fused = head_losses(heads, dict.fromkeys(heads, features), targets, shared_by(heads))
    assert set(fused) == set(heads)
    inputs = [features, *(p for head in heads.values() for p in head.parameters())]
    weights = torch.rand(len(heads), 4)

    def gradients(losses):
        total = sum((w * losses[task]).sum() for w, task in zip(weights, heads, strict=True))
        return torch.autograd.grad(total, inputs)

    alone = {task: head.loss(features, targets[task]) for task, head in heads.items()}
    for task in heads:
        torch.testing.assert_close(fused[task], alone[task])
        assert (fused[task][1] == 0).all()  # its label is missing
    for ours, theirs in zip(gradients(fused), gradients(alone), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_heads_with_equal_options_and_shared_features_are_one_call(calls):
    heads, targets = heads_and_targets()
    shared = torch.randn(4, 6)
    read = dict.fromkeys(heads, shared)
    head_losses(heads, read, targets, shared_by(heads))
    assert calls == [[9, 3, 5, 2], [2, 4]]  # the plain ones, and those with label smoothing
    calls.clear()
    head_losses(heads, read, targets, shared_by(heads) | {"who": "own", "smooth": "own"})
    assert calls == [[3, 5, 2]]  # "smooth" has other options than "who"
    calls.clear()
    head_losses(heads, read, targets, {task: task for task in heads})
    assert calls == []


def test_heads_of_different_sources_are_not_fused_if_their_tensors_reuse_an_id(calls):
    plain = Classification()
    heads = {
        name: plain.build(WIDTH, ClassTarget(names=("a", "b", "c"))) for name in ("one", "two")
    }
    features = Scaled(torch.randn(4, 6), {"one": 1.0, "two": 2.0})
    targets = dict.fromkeys(heads, torch.tensor([0, 1, 2, 0]))
    losses = head_losses(heads, features, targets, {"one": "one", "two": "two"})
    assert calls == []
    for task, head in heads.items():
        torch.testing.assert_close(losses[task], head.loss(features[task], targets[task]))


def test_an_extra_option_of_a_subclass_is_not_dropped():
    heads = {
        name: Focal(focus=2.0).build(WIDTH, ClassTarget(names=("a", "b", "c")))
        for name in ("one", "two")
    }
    shared, target = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    losses = head_losses(
        heads, dict.fromkeys(heads, shared), dict.fromkeys(heads, target), shared_by(heads)
    )
    for task, head in heads.items():
        assert head.fusion() is None
        likelihood = head(shared).softmax(dim=1)[torch.arange(4), target]
        expected = (1 - likelihood) ** 2 * -likelihood.log()
        torch.testing.assert_close(losses[task], expected)


def test_every_field_of_a_description_reaches_the_ops_or_prevents_fusion(monkeypatch):
    """A field added to the description cannot be dropped by a call that forgets it."""
    own = {"weight", "bias", "implementation"}
    fields = {field.name for field in attrs.fields(LinearCrossEntropy)} - own
    head = LinearCrossEntropy(weight=torch.randn(3, 6))
    assert set(head.options) == fields
    assert {name for name, _ in head.key} == fields
    assert attrs.evolve(head, implementation="eager").key is None
    passed = []

    def spy_on(op):
        def spy(*arguments, **options):
            passed.append(set(options))
            return op(*arguments, **options)

        return spy

    ops = ("linear_cross_entropy", "grouped_linear_cross_entropy", "multi_head_cross_entropy")
    for name in ops:
        monkeypatch.setattr(fusion, name, spy_on(getattr(fusion, name)))
    x, target = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    fusion.linear_loss(head, x, target)
    fusion.multi_head_losses([head, head], x, [target, target])
    fusion.grouped_losses([head, head], x, target, torch.tensor([0, 1, 0, 1]))
    assert len(passed) == 3
    assert all(fields <= options for options in passed)


@pytest.mark.parametrize("where", ["instance", "class"])
def test_an_overridden_loss_is_the_one_that_is_called(monkeypatch, where):
    heads, targets = heads_and_targets()
    shared = torch.randn(4, 6)
    before = head_losses(heads, dict.fromkeys(heads, shared), targets, shared_by(heads))
    plain = heads["pose"].loss
    if where == "instance":
        monkeypatch.setattr(heads["pose"], "loss", lambda *given: 10 * plain(*given))
    else:
        heads["pose"].__class__ = Doubled
    after = head_losses(heads, dict.fromkeys(heads, shared), targets, shared_by(heads))
    factor = 10 if where == "instance" else 2
    torch.testing.assert_close(after["pose"], factor * before["pose"])
    torch.testing.assert_close(after["who"], before["who"])


def test_a_head_without_a_description_is_computed_alone():
    assert HeadModule.fusion(Regression().build(WIDTH, NumberTarget())) is None


def branches_of(build):
    """Two branches, each with the head that `build` makes for 6 features."""
    backbone = SimpleNamespace(features=6)
    wiring = SimpleNamespace(backbone=backbone, new_head=lambda task, features: build())
    return LinearBranches(wiring, "who", 2)


@pytest.mark.parametrize(
    ("build", "fused"),
    [
        (
            lambda: Classification(label_smoothing=0.1).build(
                WIDTH, ClassTarget(names=tuple("abc"))
            ),
            True,
        ),
        (lambda: PluginHead(6, 3), True),
        (lambda: Focal().build(WIDTH, ClassTarget(names=tuple("abc"))), False),
        (
            lambda: Classification(implementation="eager").build(
                WIDTH, ClassTarget(names=tuple("abc"))
            ),
            False,
        ),
    ],
    ids=["classification", "plugin", "focal", "fixed implementation"],
)
def test_branches_of_linear_heads_are_one_call(calls, build, fused):
    branches, features = branches_of(build), Features(torch.randn(5, 6))
    group, target = torch.tensor([0, 1, -1, 1, 0]), torch.tensor([0, 2, 1, -1, 1])
    losses = branches.losses(group, features, target)
    assert calls == ([[3, 3]] if fused else [])
    for sample, number in enumerate(group.tolist()):
        index = slice(sample, sample + 1)
        expected = branches.heads[number].loss(features.shared[index], target[index])[0]
        assert losses[sample].item() == pytest.approx(0.0 if number < 0 else expected.item())


def test_branches_with_different_options_are_computed_one_by_one(calls):
    options = iter([0.0, 0.1])
    branches = branches_of(lambda: PluginHead(6, 3, smoothing=next(options)))
    features = Features(torch.randn(2, 6))
    losses = branches.losses(torch.tensor([0, 1]), features, torch.tensor([0, 2]))
    assert calls == []
    for sample, head in enumerate(branches.heads):
        target = torch.tensor([[0], [2]])[sample]
        torch.testing.assert_close(
            losses[sample : sample + 1], head.loss(features.shared[sample : sample + 1], target)
        )
