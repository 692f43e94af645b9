"""What a head promises beside what every module does."""

import torch
from torch import Tensor

from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import head_losses
from mtlkit.metrics.base import Metric
from mtlkit.task_types import MISSING, TaskKind
from mtlkit.testing.bench import CLASSES, head_batch, new_head
from mtlkit.testing.check import Subject, checks, require


def says_which_kind_it_is(subject: Subject) -> None:
    """Its class says whether it predicts classes or a number, before it is built."""
    kind = getattr(subject.kind, "kind", None)
    require(
        isinstance(kind, TaskKind), f"{subject.kind.__name__}.kind is {kind!r}; expected a Kind"
    )
    head = new_head(subject.value)
    require(isinstance(head, HeadModule), f"build gives a {type(head).__name__}, no HeadModule")


def gives_outputs_for_its_kind(subject: Subject) -> None:
    """Outputs are logits (N, C) of classes, or values (N,), and finite."""
    head = new_head(subject.value).eval()
    for count in (1, 5):
        found = head(head_batch(subject.value, count)[0])
        classes = subject.value.kind is TaskKind.CLASSIFICATION
        wanted = (count, len(CLASSES)) if classes else (count,)
        require(tuple(found.shape) == wanted, f"outputs are {tuple(found.shape)}, not {wanted}")
        require(bool(found.isfinite().all()), "outputs are not finite")


def gives_a_loss_for_each_sample(subject: Subject) -> None:
    """The loss is one number (N,) for each sample, in float32 whatever the precision."""
    head = new_head(subject.value)
    features, target = head_batch(subject.value, 6)
    with torch.autocast("cpu", torch.bfloat16):
        low = head.loss(features, target)
    for found in (head.loss(features, target), low):
        require(tuple(found.shape) == (6,), f"losses are {tuple(found.shape)}, not (6,)")
        require(found.dtype == torch.float32, f"losses are {found.dtype}, not float32")
        require(bool(found.isfinite().all()), "losses are not finite")


def a_missing_target_costs_nothing(subject: Subject) -> None:
    """Where the target is missing the loss is exactly 0 and no gradient flows."""
    head = new_head(subject.value)
    features, target = head_batch(subject.value, 8)
    features.requires_grad_()
    loss = head.loss(features, target)
    missing = _missing(target)
    require(bool((loss[missing] == 0).all()), f"it charges {loss[missing].max():g} for no target")
    torch.autograd.backward(loss.sum())
    assert features.grad is not None
    require(bool(features.grad.isfinite().all()), "a missing target makes the gradient not finite")
    require(bool((features.grad[missing] == 0).all()), "a gradient flows from a missing target")


def a_batch_without_targets_trains_nothing(subject: Subject) -> None:
    """A batch in which every target is missing, or which is empty, gives zeros and no error."""
    head = new_head(subject.value)
    features, target = head_batch(subject.value, 8)
    nothing = target[3:4].expand(8)  # a missing one, as `head_batch` makes it
    torch.autograd.backward(head.loss(features, nothing).sum())
    moved = [n for n, p in head.named_parameters() if p.grad is not None and (p.grad != 0).any()]
    require(not moved, f"a batch without targets changes {', '.join(moved)}")
    empty = head.loss(features[:0], target[:0])
    require(tuple(empty.shape) == (0,), f"an empty batch has losses {tuple(empty.shape)}, not (0,)")


def knows_what_is_present(subject: Subject) -> None:
    """`present` is true (N,) exactly where there is a target."""
    head = new_head(subject.value)
    target = head_batch(subject.value, 8)[1]
    found = head.present(target)
    require(found.dtype == torch.bool, f"`present` gives {found.dtype}, not bool")
    require(torch.equal(found, ~_missing(target)), "`present` disagrees with the targets")


def declares_its_metrics(subject: Subject) -> None:
    """It declares one default metric or more, and they measure its outputs."""
    metrics = getattr(subject.kind, "default_metrics", ())
    require(bool(metrics) and all(isinstance(metric, Metric) for metric in metrics),
            f"{subject.kind.__name__}.default_metrics is {metrics!r}; expected a tuple of "
            f"Metric")  # fmt: skip
    head = new_head(subject.value).eval()
    features, target = head_batch(subject.value, 12)
    with torch.no_grad():
        outputs = head(features)
    for metric in metrics:
        require(subject.value.kind in metric.kinds,
                f"the metric {metric.name!r} does not measure a {subject.value.kind.value}; "
                f"expected one that does")  # fmt: skip
        state = metric.build(CLASSES if subject.value.kind is TaskKind.CLASSIFICATION else ())
        state.update(outputs, target)
        require(state.compute() is not None, f"the metric {metric.name!r} is undefined")


def learns(subject: Subject) -> None:
    """Descent on its loss fits a few samples."""
    torch.manual_seed(0)
    head = new_head(subject.value)
    features, target = head_batch(subject.value, 8)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    first = head.loss(features, target).sum().item()
    for _ in range(150):
        optimizer.zero_grad()
        torch.autograd.backward(head.loss(features, target).sum())
        optimizer.step()
    last = head.loss(features, target).sum().item()
    require(last < first / 2, f"150 steps bring its loss from {first:.3g} to {last:.3g} only")


def loses_the_same_when_fused(subject: Subject) -> None:
    """Computed in one op call with a head like it, the loss and its gradients are the same."""
    heads = {"first": new_head(subject.value), "second": new_head(subject.value)}
    if heads["first"].fusion() is None:
        return
    features, target = head_batch(subject.value, 8)
    features.requires_grad_()
    alone = {name: head.loss(features, target) for name, head in heads.items()}
    fused = head_losses(heads, features, {}, dict.fromkeys(heads, target))
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


def _missing(target: Tensor) -> Tensor:
    return target.isnan() if target.is_floating_point() else target == MISSING


CHECKS = checks(
    says_which_kind_it_is,
    gives_outputs_for_its_kind,
    gives_a_loss_for_each_sample,
    a_missing_target_costs_nothing,
    a_batch_without_targets_trains_nothing,
    knows_what_is_present,
    declares_its_metrics,
    learns,
    loses_the_same_when_fused,
)
