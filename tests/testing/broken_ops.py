"""Implementations of ops, and an op, each of which breaks one promise."""

import torch
import torch.nn.functional as F

from mtlkit.ops import (
    Cost,
    Implementation,
    Op,
    Request,
    Trial,
    choose,
    refuses_forward_mode,
    serves_all,
)
from mtlkit.ops.gating import reference
from mtlkit.ops.kernels.concatenated import concatenated_heads

FREE = Cost(flops=0, moved=1, calls=1, peak=0)


def way(run, op="gate", refuses=serves_all, cost=FREE) -> Implementation:
    """Return an implementation of `op` by `run`."""
    name = f"broken/{run.__name__}"
    return Implementation(name, "one more way", run, refuses, lambda _: cost, op=op)


def right(x, weight, bias):
    """As the definition, its own gradient but no derivative beyond the first."""
    return reference(x, weight, bias)


def costly(x, weight, bias):
    return reference(x, weight, bias)


def shifted(x, weight, bias):
    return reference(x, weight, bias) + 1e-6


def coarse(x, weight, bias):
    if x.dtype == torch.float32:
        x = x.bfloat16().float()
    return reference(x, weight, bias)


def unprepared(x, weight, bias):
    return reference(x - x[0] * 0, weight, bias)


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
    return concatenated_heads.op(x, [weight], [offset], none, 0.0)[1].T


def scribbling(x, weight, bias):
    found = reference(x.clone(), weight, bias)
    x.detach().neg_()
    return found


def peeking(x, weight, bias):
    return reference(x, weight, bias if x.sum().item() < 1e9 else None)


Right, Shifted, Coarse = way(right), way(shifted), way(coarse)
Costly = way(costly, cost=FREE._replace(peak=-1))
Unprepared, Charging = way(unprepared), way(charging, "linear_cross_entropy")
Consuming, Flat = (way(each, refuses=refuses_forward_mode) for each in (consuming, flat))
Tangentless, Scribbling, Peeking = way(tangentless), way(scribbling), way(peeking)


def hinge(name: str, scores, cost=FREE) -> Op:
    """Return an op of a plugin, with one implementation."""

    def trials(rows, generator):
        x = torch.randn(rows, 3, generator=generator, dtype=torch.float64)

        def call(name, x):
            return choose(op, Request(len(x), 3, 1, x.dtype), name).run(x)

        return {"hinge": Trial((x,), call)}

    eager = Implementation("eager", "as written", scores, serves_all, lambda _: cost)
    op = Op(f"broken/{name}", scores, eager, trials=trials)
    return op


class Misled(torch.autograd.Function):
    """The square, with half its gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    def backward(ctx, upstream):
        return ctx.saved_tensors[0] * upstream


Hinge = hinge("hinge", lambda x: (1 - x).clamp_min(0).square())
Misleading = hinge("misleading", lambda x: Misled.apply((1 - x).clamp_min(0)))
Priceless = hinge("priceless", lambda x: x, FREE._replace(peak=float("nan")))
