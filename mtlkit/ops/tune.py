"""Measuring the implementations on this machine, for the choice to go by."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtlkit.ops.dispatch.choice import gpu_name, table_key
from mtlkit.ops.dispatch.implementation import Op, Request
from mtlkit.ops.gating import gate
from mtlkit.ops.grouped import grouped_linear_cross_entropy
from mtlkit.ops.linear import linear_cross_entropy
from mtlkit.ops.margin import margin_cross_entropy
from mtlkit.ops.multi_head import multi_head_cross_entropy

ROUNDS = 5

FEW = (13, 20, 7)
"""The classes of small heads, which stand alone and beside one of as many as are asked for."""


class Trial(NamedTuple):
    """A call of an op with random inputs of given sizes; it differentiates what it gets."""

    op: Op
    request: Request
    call: Callable[[str], None]

    def able(self) -> list[str]:
        """The implementations that can serve it and that may be chosen automatically."""
        return [
            name
            for name, each in self.op.implementations.items()
            if each.automatic and not each.refuses(self.request)
        ]


def measured(trial: Trial, rounds: int = ROUNDS) -> dict[str, float]:
    """The least seconds of every implementation, in turns; the first round only warms up."""
    best = dict.fromkeys(trial.able(), math.inf)
    for number in range(rounds + 1):
        for name in best:
            started = time.perf_counter()
            trial.call(name)
            if trial.request.device == "cuda":
                torch.cuda.synchronize()
            if number:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def tuned(trials: Iterator[Trial], report: Callable[[str, dict[str, float]], None]) -> Any:
    """The table that `MTLKIT_OPS_TABLE` names, as JSON; `report` hears of every line of it."""
    seconds: dict[str, dict[str, float]] = {}
    on_gpu = False
    for trial in trials:
        on_gpu |= trial.request.device == "cuda"
        key = table_key(trial.op.name, trial.request)
        seconds[key] = measured(trial)
        report(key, seconds[key])
    return {
        "torch": torch.__version__, "gpu": gpu_name() if on_gpu else "", "seconds": seconds,
    }  # fmt: skip


def trials(
    rows: list[int], features: int, classes: list[int], dtype: torch.dtype, device: str
) -> Iterator[Trial]:
    """Every op at every combination of sizes, as a training step calls it."""
    from mtlkit.ops.catalog import OPS

    for n in rows:
        for c in classes:
            for reduction in ("mean", "none"):
                request = Request(n, features, c, dtype, device, True, reduction)
                for name, function in (
                    ("linear_cross_entropy", linear_cross_entropy),
                    ("margin_cross_entropy", margin_cross_entropy),
                ):
                    yield Trial(OPS[name], request, _single(function, request))
                three = request._replace(parts=3)
                yield Trial(OPS["grouped_linear_cross_entropy"], three, _grouped(three))
        for reduction in ("mean", "none"):
            for sizes in (FEW, *((c, *FEW) for c in classes)):
                whole = sum(sizes) + len(sizes)  # the gate is one more head
                heads = Request(n, features, whole, dtype, device, True, reduction, len(sizes) + 1)
                yield Trial(OPS["multi_head_cross_entropy"], heads, _heads(heads, sizes))
            shares = Request(n, features, 4, dtype, device, True, reduction)
            yield Trial(OPS["gate"], shares, _gate(shares))


def _draw(request: Request, *size: int) -> Tensor:
    return (torch.randn(*size, device=request.device) * 0.05).to(request.dtype).requires_grad_()


def _labels(request: Request, classes: int) -> Tensor:
    return torch.randint(classes, (request.rows,), device=request.device)


def _single(function: Callable[..., Tensor], request: Request) -> Callable[[str], None]:
    x = _draw(request, request.rows, request.features)
    weight = _draw(request, request.classes, request.features)
    target = _labels(request, request.classes)

    def call(name: str) -> None:
        loss = function(x, weight, target, reduction=request.reduction, implementation=name)
        torch.autograd.grad(loss.sum(), (x, weight))

    return call


def _grouped(request: Request) -> Callable[[str], None]:
    x = _draw(request, request.rows, request.features)
    weights = [_draw(request, request.classes, request.features) for _ in range(request.parts)]
    target, group = _labels(request, request.classes), _labels(request, request.parts)

    def call(name: str) -> None:
        loss = grouped_linear_cross_entropy(
            x, weights, target, group, reduction=request.reduction, implementation=name
        )
        torch.autograd.grad(loss.sum(), (x, *weights), allow_unused=True)

    return call


def _heads(request: Request, classes: tuple[int, ...]) -> Callable[[str], None]:
    x = _draw(request, request.rows, request.features)
    share = _draw(request, len(classes), request.features)
    weights = [_draw(request, size, request.features) for size in classes]
    targets = [_labels(request, size) for size in classes]

    def call(name: str) -> None:
        found = multi_head_cross_entropy(
            x, weights, targets, gate=(share, None), reduction=request.reduction,
            implementation=name,
        )  # fmt: skip
        assert found.gate is not None
        torch.autograd.grad(found.losses.sum() + found.gate.sum(), (x, *weights))

    return call


def _gate(request: Request) -> Callable[[str], None]:
    x = _draw(request, request.rows, request.features)
    weight = _draw(request, request.classes, request.features)

    def call(name: str) -> None:
        shares = gate(x, weight, reduction=request.reduction, implementation=name)
        torch.autograd.grad(shares[..., 0].sum(), (x, weight))

    return call
