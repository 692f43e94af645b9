"""Heads that see the same features are one call of an op, and lose what each would by itself."""

import pytest
import torch

from mtlkit.heads import Classification, ClassificationHead, Margin, Regression, fusion
from mtlkit.heads.fusion import losses_of_heads
from mtlkit.ops import use
from mtlkit.ops.dispatch.table import builtin_ops

IMPLEMENTATIONS = {name: tuple(op.implementations) for name, op in builtin_ops().items()}

NAMES = [name for name in IMPLEMENTATIONS["multi_head_cross_entropy"] if name != "triton"]


class Doubled(ClassificationHead):
    """Another head, whose loss is its own."""

    def loss(self, features, target):
        return 2 * super().loss(features, target)


def heads_and_targets():
    torch.manual_seed(0)
    plain = Classification()
    heads = {
        "who": plain.build(6, tuple(map(str, range(9)))),
        "pose": plain.build(6, ("l", "f", "r")),
        "smooth": Classification(label_smoothing=0.1).build(6, ("a", "b")),
        "saved-softmax": Classification(implementation="saved-softmax").build(6, ("a", "b")),
        "age": Regression().build(6, ()),
        "angle": Margin().build(6, ("a", "b", "c")),
        "doubled": Doubled(plain, 6, ("a", "b")),
        "light": plain.build(6, ("dark", "light")),
    }
    targets = {task: torch.tensor([0, -1, 1, 0]) for task in heads}
    targets["age"] = torch.tensor([3.0, torch.nan, 1.0, -1.0])
    return heads, targets


@pytest.mark.parametrize("name", NAMES)
def test_every_head_loses_what_it_would_by_itself(name):
    heads, targets = heads_and_targets()
    features = torch.randn(4, 6, requires_grad=True)
    with use(multi_head_cross_entropy=name):
        found = losses_of_heads(heads, dict.fromkeys(heads, features), targets)
    assert set(found) == set(heads)
    inputs = [features, *(p for head in heads.values() for p in head.parameters())]
    weights = torch.rand(len(heads), 4)

    def gradients(losses):
        total = sum((w * losses[task]).sum() for w, task in zip(weights, heads, strict=True))
        return torch.autograd.grad(total, inputs)

    alone = {task: head.loss(features, targets[task]) for task, head in heads.items()}
    for task in heads:
        torch.testing.assert_close(found[task], alone[task])
        assert (found[task][1] == 0).all()  # its label is missing
    for ours, theirs in zip(gradients(found), gradients(alone), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_only_plain_heads_with_the_same_features_are_one_call(monkeypatch):
    called = []
    op = fusion.multi_head_cross_entropy
    monkeypatch.setattr(
        fusion, "multi_head_cross_entropy", lambda x, weights, *a, **k: called.append(
            [len(weight) for weight in weights]) or op(x, weights, *a, **k)
    )  # fmt: skip
    heads, targets = heads_and_targets()
    shared = torch.randn(4, 6)
    losses_of_heads(heads, dict.fromkeys(heads, shared), targets)
    assert called == [[9, 3, 2]]  # who, pose and light
    called.clear()
    losses_of_heads(heads, {task: shared.clone() for task in heads}, targets)
    assert called == []


def test_a_loss_that_somebody_wraps_is_the_one_that_is_called(monkeypatch):
    heads, targets = heads_and_targets()
    shared = torch.randn(4, 6)
    before = losses_of_heads(heads, dict.fromkeys(heads, shared), targets)
    plain = heads["pose"].loss
    monkeypatch.setattr(heads["pose"], "loss", lambda *given: 10 * plain(*given))
    after = losses_of_heads(heads, dict.fromkeys(heads, shared), targets)
    torch.testing.assert_close(after["pose"], 10 * before["pose"])
    torch.testing.assert_close(after["who"], before["who"])
