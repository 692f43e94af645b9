"""Implementations of ops, and an op, each of which breaks one promise."""

from typing import Any

import attrs
import torch
import torch.nn.functional as F

from mtlkit.ops.configs import Gate, HeadOp, OpImplementation
from mtlkit.ops.dispatch.implementation import Cost, Implementation, Op, Request, serves_all
from mtlkit.ops.gating import by_definition
from mtlkit.ops.kernels.concatenated import heads_joined
from mtlkit.ops.kernels.costs import refuses_forward_mode
from mtlkit.ops.trials import Trial

FREE = Cost(flops=0, moved=1, calls=1, peak=0)


def way(run, op="gate", refuses=serves_all, cost=FREE) -> type[OpImplementation]:
    """A component that implements `op` by `run`."""

    def build(self):
        return Implementation("way", "one more way", run, refuses, lambda _: cost)

    name = run.__name__.title().replace("_", "")
    space: dict[str, Any] = {"__doc__": "One more way.", "__module__": __name__, "op": op}
    kind = type(name, (OpImplementation,), {**space, "build": build})
    return attrs.frozen(kw_only=True)(kind)


def right(x, weight, bias):
    """As the definition, its own gradient but no derivative beyond the first."""
    return by_definition(x, weight, bias)


def costly(x, weight, bias):
    return by_definition(x, weight, bias)


def shifted(x, weight, bias):
    return by_definition(x, weight, bias) + 1e-6


def coarse(x, weight, bias):
    if x.dtype == torch.float32:
        x = x.bfloat16().float()
    return by_definition(x, weight, bias)


def unprepared(x, weight, bias):
    return by_definition(x - x[0] * 0, weight, bias)


def charging(call):
    logits = F.linear(call.x, call.weight, call.bias).float()
    return call.reduced(F.cross_entropy(logits, call.known_target(), reduction="none"))


class Once(torch.autograd.Function):
    """A softmax that uses up what it kept."""

    @staticmethod
    def forward(ctx, logits):
        ctx.shares = logits.softmax(dim=1)
        return ctx.shares.clone()

    @staticmethod
    def backward(ctx, upstream):
        mean = (ctx.shares * upstream).sum(dim=1, keepdim=True)
        return ctx.shares.mul_(upstream - mean)


def consuming(x, weight, bias):
    return Once.apply(F.linear(x, weight, bias).float())


class Constant(torch.autograd.Function):
    """A softmax whose gradient is taken for a constant when it is differentiated again."""

    @staticmethod
    def forward(ctx, logits):
        ctx.shares = logits.softmax(dim=1)
        return ctx.shares.clone()

    @staticmethod
    def backward(ctx, upstream):
        mean = (ctx.shares * upstream).sum(dim=1, keepdim=True)
        return ctx.shares * (upstream - mean)


def flat(x, weight, bias):
    return Constant.apply(F.linear(x, weight, bias))


def tangentless(x, weight, bias):
    none = torch.empty(0, len(x), dtype=torch.int64)
    offset = x.new_zeros(len(weight)) if bias is None else bias
    return heads_joined.op(x, [weight], [offset], none, 0.0)[1].T


def scribbling(x, weight, bias):
    found = by_definition(x.clone(), weight, bias)
    x.detach().neg_()
    return found


def peeking(x, weight, bias):
    return by_definition(x, weight, bias if x.sum().item() < 1e9 else None)


Right, Shifted, Coarse = way(right), way(shifted), way(coarse)
Costly = way(costly, cost=FREE._replace(peak=-1))
Unprepared, Charging = way(unprepared), way(charging, "linear_cross_entropy")
Consuming, Flat = (way(each, refuses=refuses_forward_mode) for each in (consuming, flat))
Tangentless, Scribbling, Peeking = way(tangentless), way(scribbling), way(peeking)


def hinge(name: str, scores) -> Op:
    return Op(name, "a hinge", Implementation("eager", "", scores, serves_all, lambda _: FREE))


@attrs.frozen(kw_only=True)
class Hinge(HeadOp):
    """An op of a plugin's own, which is right."""

    def build(self):
        return hinge(self.name(), self.scores)

    def name(self):
        return f"broken/{type(self).__name__.lower()}"

    def scores(self, x):
        return (1 - x).clamp_min(0).square()

    def trials(self, rows, generator):
        from mtlkit.ops.dispatch.choice import choose

        x = torch.randn(rows, 3, generator=generator, dtype=torch.float64)
        op = self.build()

        def call(name, x):
            request = Request(len(x), 3, 1, x.dtype)
            return choose(op, request, name).run(x)

        return {"hinge": Trial((x,), call)}


class Misled(torch.autograd.Function):
    """The square, with half its gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, upstream):
        return ctx.saved_tensors[0] * upstream


@attrs.frozen(kw_only=True)
class Misleading(Hinge):
    """An op whose definition has a wrong gradient."""

    def scores(self, x):
        return Misled.apply((1 - x).clamp_min(0))


@attrs.frozen(kw_only=True)
class Borrowed(Gate):
    """An op under a name that is not its own."""
