"""Cells of the benchmarks: each is a set of ways to do the same work.

A way is a function that does one forward and backward pass, with gradients left in `.grad`.
Sizes: N rows, D features, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import competitors
import textbook
import torch

from mtlkit import ops
from mtlkit.ops.dispatch.choice import explain
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops

OPS = builtin_ops()

FLOOR = "three products"


@dataclass
class Cell:
    """Ways to do the same work; `leaves` get gradients, `flops` are those of the matrix products.

    `request` describes the call to the op. The ways in `beside` do different work, so none of them
    counts as the fastest. `left_out` holds the reasons why ways were not tried, `failed` why they
    could not run.
    """

    op: str
    title: str
    baseline: str
    ways: dict[str, Callable[[], torch.Tensor | None]]
    leaves: list[torch.Tensor] = field(default_factory=list)
    flops: float = 0.0
    sizes: tuple[int, ...] = ()
    truth: Callable[[], tuple[torch.Tensor, ...]] | None = None
    memory: bool = False
    request: Request | None = None
    beside: tuple[str, ...] = (FLOOR,)
    left_out: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 6.0
    rounds: int = 2  # at least so many, however long they take
    cold: bool = False  # first calls count: their overhead is negligible

    def clear(self):
        for leaf in self.leaves:
            leaf.grad = None

    @property
    def taken(self) -> str:
        """Name of the implementation that `auto` takes; empty if the op has no choice."""
        if self.request is None:
            return ""
        lines = explain(OPS[self.op], self.request, "auto")
        return next(line.name for line in lines if line.chosen)

    @property
    def min_bytes(self) -> int:
        """Least traffic: inputs read once, gradients written once."""
        return sum(2 * leaf.nbytes for leaf in self.leaves)


def able(op, request):
    """Return the implementations that serve a request; torch.compile has separate cells."""
    implementations = OPS[op].implementations.items()
    return [
        name for name, impl in implementations if name != "compiled" and not impl.refuses(request)
    ]


def products(rows, features, classes, device, dtype):
    """Return a function of the three required matrix products only: the floor."""
    x = torch.randn(rows, features, device=device, dtype=dtype)
    weight = torch.randn(classes, features, device=device, dtype=dtype)
    z = torch.empty(rows, classes, device=device, dtype=dtype)
    of_x, of_weight = torch.empty_like(x), torch.empty_like(weight)

    def run():
        torch.mm(x, weight.T, out=z)
        torch.mm(z, weight, out=of_x)
        torch.mm(z.T, x, out=of_weight)

    return run


def linear(rows, features, classes, *, device="cpu", dtype=torch.float32, reduction="mean",
           mode="both", only=(), left_out=None, memory=True, seconds=6.0, rounds=2,
           cold=False):  # fmt: skip
    """Return a cell of linear_cross_entropy.

    `mode` is ``forward``, ``both``, or ``tasks`` (two backward passes). If `only` is not
    empty, the cell has only those ways; ways in `left_out` are skipped.
    """
    torch.manual_seed(0)
    x = torch.randn(rows, features, device=device, dtype=dtype).requires_grad_()
    weight = (torch.randn(classes, features, device=device) * 0.05).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,), device=device)
    upstream = torch.rand(rows, device=device) / rows

    def finish(loss):
        scalar = loss if reduction == "mean" else (loss * upstream).sum()
        if mode == "tasks":
            torch.autograd.grad(scalar, (x, weight), retain_graph=True)
        scalar.backward()
        return loss

    def way(name):
        def run():
            if mode == "forward":
                with torch.no_grad():
                    return ops.linear_cross_entropy(
                        x, weight, target, reduction=reduction, implementation=name
                    )
            return finish(
                ops.linear_cross_entropy(
                    x, weight, target, reduction=reduction, implementation=name
                )
            )

        return run

    def plain():
        if mode == "forward":
            with torch.no_grad():
                return textbook.linear_cross_entropy(x, weight, target, reduction)
        return finish(textbook.linear_cross_entropy(x, weight, target, reduction))

    def truth():
        inputs = [tensor.detach().double().requires_grad_() for tensor in (x, weight)]
        loss = ops.linear_cross_entropy(
            *inputs, target, reduction=reduction, implementation="eager"
        )
        (loss if reduction == "mean" else (loss * upstream).sum()).backward()
        return loss.detach(), inputs[0].grad, inputs[1].grad

    request = Request(rows, features, classes, dtype, device, mode != "forward", reduction)
    names = able("linear_cross_entropy", request)
    if "compiled" in only:
        names.append("compiled")
    ways = {"textbook": plain, **{name: way(name) for name in [*names, "auto"]}}
    if mode == "both" and reduction == "mean":
        ways |= competitors.ways(x, weight, target, native="native" in names)
    if mode == "both":
        ways[FLOOR] = products(rows, features, classes, device, dtype)
    left_out = left_out or {}
    ways = {n: w for n, w in ways.items() if n not in left_out and (not only or n in only)}
    note = "" if mode == "both" else {"forward": ", forward only", "tasks": ", two backwards"}[mode]
    note += "" if reduction == "mean" else ", a loss for each row"
    note += ", by torch.compile" if "compiled" in only else ""
    return Cell(
        "linear_cross_entropy",
        f"N={rows} D={features} C={classes} {str(dtype).removeprefix('torch.')}{note}",
        "textbook", ways, [x, weight], 3 * 2.0 * rows * features * classes,
        (rows, features, classes),
        truth if mode == "both" and classes <= 10_000 and rows <= 512 else None,
        mode == "both" and memory, request, left_out=dict(left_out), seconds=seconds,
        rounds=rounds, cold=cold,
    )  # fmt: skip


def heads(rows, classes, gated, *, features=512, device="cpu", dtype=torch.float32):
    """Return a cell of multi_head_cross_entropy next to separate heads."""
    x, weights, biases, targets, gate, leaves = _heads(rows, classes, features, device, dtype)
    gate = gate if gated else None

    def way(name):
        def run():
            result = ops.multi_head_cross_entropy(
                x, weights, targets, biases, gate=gate, implementation=name
            )
            losses = result.losses
            (losses.mean() if gate is None else (losses * result.gate).sum()).backward()

        return run

    whole = sum(classes) + gated * len(classes)  # the gate is one more head
    request = Request(rows, features, whole, dtype, device, parts=len(classes) + gated)
    names = able("multi_head_cross_entropy", request)
    return Cell(
        "multi_head_cross_entropy",
        f"N={rows} D={features} C={'+'.join(map(str, classes))}{' and a gate' if gated else ''}",
        "separate heads",
        {
            "separate heads": lambda: textbook.heads(x, weights, biases, targets, gate).backward(),
            **{name: way(name) for name in [*names, "auto"]},
        },
        leaves,
        request=request,
    )


def feature_gradients(rows, classes, *, features=512, device="cpu", dtype=torch.float32):
    """Return a cell of each head's feature gradients next to a plain pass through the heads.

    As in a training step, the features are detached from the backbone, since their gradients are
    returned with the losses; the heads are then differentiated by their parameters.
    """
    x, weights, biases, targets, _, leaves = _heads(rows, classes, features, device, dtype)
    cut = x.detach()

    def way(name):
        def run():
            result = ops.multi_head_cross_entropy(
                cut, weights, targets, biases, feature_gradients=True, implementation=name
            )
            result.losses.mean().backward()

        return run

    def by_autograd():
        """Run a backward pass to the features for each head, then one for the heads."""
        losses = torch.stack([
            textbook.F.cross_entropy(textbook.F.linear(x, w, b), t)
            for w, b, t in zip(weights, biases, targets, strict=True)
        ])  # fmt: skip
        for loss in losses:
            torch.autograd.grad(loss, x, retain_graph=True)
        losses.mean().backward(inputs=[*weights, *biases])

    return Cell(
        "multi_head_cross_entropy",
        f"N={rows} D={features} C={'+'.join(map(str, classes))}, feature gradients",
        "separate heads, no feature gradients",
        {
            "separate heads, no feature gradients": lambda: textbook.heads(
                x, weights, biases, targets
            ).backward(),
            "concatenated": way("concatenated"),
            "by autograd": by_autograd,
        },
        leaves,
        beside=("separate heads, no feature gradients",),
    )


def _heads(rows, classes, features, device, dtype):
    torch.manual_seed(0)

    def draw(*size):
        return (torch.randn(*size, device=device) * 0.05).to(dtype).requires_grad_()

    x = draw(rows, features)
    weights, biases = [draw(c, features) for c in classes], [draw(c) for c in classes]
    gate = draw(len(classes), features), draw(len(classes))
    targets = [torch.randint(c, (rows,), device=device) for c in classes]
    return x, weights, biases, targets, gate, [x, *weights, *biases, *gate]


def grouped(rows, classes, shares, *, features=512, device="cpu", dtype=torch.float32):
    """Return a cell of grouped_linear_cross_entropy next to sort-and-slice and compute-all."""
    torch.manual_seed(0)
    x = torch.randn(rows, features, device=device).to(dtype).requires_grad_()
    weights = [
        (torch.randn(classes, features, device=device) * 0.05).to(dtype).requires_grad_()
        for _ in shares
    ]
    target = torch.randint(classes, (rows,), device=device)
    chances = torch.tensor(shares, device=device)
    group = torch.multinomial(chances, rows, replacement=True)
    given = (x, weights, target, group)

    def way(name):
        return lambda: ops.grouped_linear_cross_entropy(*given, implementation=name).backward()

    request = Request(rows, features, classes, dtype, device, parts=len(shares))
    names = able("grouped_linear_cross_entropy", request)
    skew = "" if len(set(shares)) == 1 else f" of {'/'.join(map(str, shares))}"
    return Cell(
        "grouped_linear_cross_entropy",
        f"N={rows} D={features} C={classes}, {len(shares)} groups{skew}",
        "sort and slice",
        {
            "sort and slice": lambda: textbook.sort_and_slice(*given).backward(),
            "compute all": lambda: textbook.compute_all(*given).backward(),
            **{name: way(name) for name in [*names, "auto"]},
            FLOOR: products(rows, features, classes, device, dtype),
        },
        [x, *weights],
        3 * 2.0 * rows * features * classes,
        request=request,
    )


def margin(rows, classes, *, features=512, device="cpu", dtype=torch.float32):
    """Return a cell of margin_cross_entropy (ArcFace), two textbook forms, and Partial FC."""
    torch.manual_seed(0)
    x = torch.randn(rows, features, device=device).to(dtype).requires_grad_()
    weight = torch.randn(classes, features, device=device).to(dtype).requires_grad_()
    target = torch.randint(classes, (rows,), device=device)

    def way(name):
        return lambda: ops.margin_cross_entropy(x, weight, target, implementation=name).backward()

    request = Request(rows, features, classes, dtype, device)
    names = able("margin_cross_entropy", request)
    ways = {
        "textbook": lambda: textbook.arcface(x, weight, target).backward(),
        "textbook, target only": lambda: textbook.arcface_gathered(x, weight, target).backward(),
        **{name: way(name) for name in [*names, "auto"]},
        FLOOR: products(rows, features, classes, device, dtype),
    }
    samples = classes // 10
    if samples >= rows:
        ways["partial FC, textbook"] = lambda: textbook.partial_fc(
            x, weight, target, samples
        ).backward()
        ways["partial FC"] = lambda: ops.sampled_margin_cross_entropy(
            x, weight, target, samples
        ).loss.backward()
    return Cell(
        "margin_cross_entropy", f"N={rows} D={features} C={classes}", "textbook", ways, [x, weight],
        3 * 2.0 * rows * features * classes, memory=True, request=request,
        beside=tuple(name for name in ways if name == FLOOR or name.startswith("partial FC")),
    )  # fmt: skip


def match(probes, gallery, *, classes=512, device="cpu"):
    """Return a cell of all pairs' scores, one product of the same width, and the best ten."""
    torch.manual_seed(0)

    def images(count):
        weights = torch.rand(count, 3, device=device).softmax(dim=1)
        branches = torch.randn(count, 3, classes, device=device)
        return torch.randn(count, classes, device=device), branches, weights

    raw = images(probes)
    ours, theirs = ops.match_template(*raw), ops.match_template(*images(gallery))
    return Cell(
        "match_scores", f"{gallery} in the gallery, {probes} probes, C={classes}, 3 groups",
        "one product",
        {
            "one product": lambda: ours @ theirs.T,
            "match_scores": lambda: ops.match_scores(ours, theirs),
            "with the probes' templates": lambda: ops.match_scores(
                ops.match_template(*raw), theirs
            ),
            "best 10, eager": lambda: ops.best_matches(ours, theirs, 10, implementation="eager"),
            "best 10, tiled": lambda: ops.best_matches(ours, theirs, 10, implementation="tiled"),
        },
        beside=("with the probes' templates", "best 10, eager", "best 10, tiled"),
    )  # fmt: skip
