"""Checks of heads, in addition to those of all modules."""

import torch
from torch import Tensor

from mtlkit.component import Component
from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import head_losses
from mtlkit.metrics.base import Metric
from mtlkit.targets.base import Target, nouns
from mtlkit.targets.codes import ClassesTarget, CodedTarget
from mtlkit.targets.numbers import RealTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.testing.check import Subject, checks_of, require, require_type
from mtlkit.testing.head_batches import head_batch, new_head, target_of
from mtlkit.testing.labels import right_outputs


def declares_its_targets(subject: Subject) -> None:
    """Its class declares the types of targets that it predicts."""
    require_targets(subject.kind)
    require_type(new_head(subject.example), HeadModule, "build")


def require_targets(kind: type[Component]) -> None:
    """Raise `BrokenPromiseError` unless the class of a component lists types of targets."""
    targets = getattr(kind, "targets", ())
    require(
        isinstance(targets, tuple)
        and bool(targets)
        and all(isinstance(one, type) and issubclass(one, Target) for one in targets),
        f"{kind.__name__}.targets is {targets!r}; expected a tuple of subclasses of Target",
    )


def returns_outputs_for_its_targets(subject: Subject) -> None:
    """Outputs are finite, and logits or values of the shape that its target needs."""
    head = new_head(subject.example).eval()
    for count in (1, 5):
        features, labels = head_batch(subject.example, count)
        outputs = head(features)
        expected = output_shape(target_of(subject.example), labels)
        shape = tuple(outputs.shape)
        require(expected is None or shape == expected, f"outputs are {shape}, not {expected}")
        require(bool(outputs.isfinite().all()), "outputs are not finite")


def output_shape(target: Target, labels: Tensor) -> tuple[int, ...] | None:
    """Return the shape of outputs for `labels`; None if the target is of no built-in type."""
    if isinstance(target, ClassesTarget):
        return tuple(right_outputs(target, torch.zeros_like(labels)).shape)
    known = isinstance(target, CodedTarget | RealTarget | UnitVectorMapTarget)
    return tuple(labels.shape) if known else None


def returns_a_loss_per_sample(subject: Subject) -> None:
    """The loss has one value per sample (N,), in float32 at any precision."""
    head = new_head(subject.example)
    features, target = head_batch(subject.example, 6)
    with torch.autocast("cpu", torch.bfloat16):
        low = head.loss(features, target)
    for losses in (head.loss(features, target), low):
        require(tuple(losses.shape) == (6,), f"losses are {tuple(losses.shape)}, not (6,)")
        require(losses.dtype == torch.float32, f"losses are {losses.dtype}, not float32")
        require(bool(losses.isfinite().all()), "losses are not finite")


def ignores_each_missing_target(subject: Subject) -> None:
    """The loss of a missing target is exactly 0, and so is its gradient."""
    head = new_head(subject.example)
    features, target = head_batch(subject.example, 8)
    features.requires_grad_()
    loss = head.loss(features, target)
    missing = target_of(subject.example).weights(target) == 0
    require(
        bool((loss[missing] == 0).all()),
        f"the loss of a missing target is {loss[missing].max():g}, not 0",
    )
    torch.autograd.backward(loss.sum())
    assert features.grad is not None
    require(bool(features.grad.isfinite().all()), "a missing target makes the gradient not finite")
    require(bool((features.grad[missing] == 0).all()), "the gradient of a missing target is not 0")


def averages_the_present_elements(subject: Subject) -> None:
    """The loss of a sample is the mean over its present elements."""
    target, head = target_of(subject.example), new_head(subject.example).eval()
    features, labels = head_batch(subject.example, 3)
    present = target.present(labels)
    if present.dim() == 1:
        return
    chosen = torch.arange(present[0].numel()).reshape(present[0].shape) % 2 == 0
    if present.dim() < labels.dim():
        chosen = chosen.unsqueeze(0)  # the mask has no channels
    parts = [torch.where(mask, labels, target.missing) for mask in (chosen, ~chosen)]
    counts = [target.weights(part) for part in parts]
    losses = [head.loss(features, part) for part in parts]
    total = sum((a * b for a, b in zip(counts, losses, strict=True)), start=torch.zeros(3))
    expected = total / target.weights(labels).clamp(min=1)
    require(
        torch.allclose(head.loss(features, labels), expected, rtol=1e-4, atol=1e-6),
        "the loss of a sample is not the mean of the losses of its present elements",
    )


def handles_a_batch_without_targets(subject: Subject) -> None:
    """A batch without targets has zero gradients, and an empty batch has an empty loss."""
    head = new_head(subject.example)
    features, target = head_batch(subject.example, 8)
    all_missing = target[3:4].expand_as(target)  # the fourth sample has no label
    torch.autograd.backward(head.loss(features, all_missing).sum())
    changed = [n for n, p in head.named_parameters() if p.grad is not None and (p.grad != 0).any()]
    require(not changed, f"a batch without targets changes {', '.join(changed)}")
    empty = head.eval().loss(features[:0], target[:0])
    require(tuple(empty.shape) == (0,), f"an empty batch has losses {tuple(empty.shape)}, not (0,)")


def declares_its_metrics(subject: Subject) -> None:
    """It declares at least one default metric, and they accept its outputs."""
    metrics = getattr(subject.kind, "default_metrics", ())
    require(bool(metrics) and all(isinstance(metric, Metric) for metric in metrics),
            f"{subject.kind.__name__}.default_metrics is {metrics!r}; expected a tuple of "
            f"Metric")  # fmt: skip
    head = new_head(subject.example).eval()
    features, target = head_batch(subject.example, 12)
    with torch.no_grad():
        outputs = head(features)
    for metric in metrics:
        targets = subject.value.targets
        require(any(issubclass(target, metric.targets) for target in targets),
                f"the metric {metric.name!r} does not measure {nouns(targets)}; "
                f"expected one that does")  # fmt: skip
        state = metric.build(target_of(subject.example))
        state.update(outputs, target)
        require(state.compute() is not None, f"the metric {metric.name!r} is undefined")


def learns(subject: Subject) -> None:
    """Gradient descent on its loss fits a few samples."""
    torch.manual_seed(0)
    head = new_head(subject.example)
    features, target = head_batch(subject.example, 8)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    first = head.loss(features, target).sum().item()
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(head.loss(features, target).sum())
        optimizer.step()
    last = head.loss(features, target).sum().item()
    require(last < first / 2, f"150 steps reduce its loss from {first:.3g} only to {last:.3g}")


def returns_the_same_loss_when_fused(subject: Subject) -> None:
    """Fused with an equal head in one op call, the loss and its gradients are the same."""
    heads = {"first": new_head(subject.example), "second": new_head(subject.example)}
    if heads["first"].fusion() is None:
        return
    features, target = head_batch(subject.example, 8)
    features.requires_grad_()
    alone = {name: head.loss(features, target) for name, head in heads.items()}
    read: dict[str, Tensor] = dict.fromkeys(heads, features)
    labels: dict[str, Tensor] = dict.fromkeys(heads, target)
    fused = head_losses(heads, read, labels, dict.fromkeys(heads, "shared"))
    require(
        all(torch.allclose(fused[name], alone[name], rtol=1e-4, atol=1e-5) for name in heads),
        "`fusion` describes another loss than `loss` computes",
    )
    inputs = [features, *(p for head in heads.values() for p in head.parameters())]
    gradients = [
        torch.autograd.grad(sum(losses.values(), start=torch.zeros(8)).sum(), inputs,
                            allow_unused=True, materialize_grads=True)
        for losses in (alone, fused)
    ]  # fmt: skip
    require(
        all(torch.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(*gradients, strict=True)),
        "`fusion` describes a loss with other gradients than those of `loss`",
    )


CHECKS = checks_of(__name__)
