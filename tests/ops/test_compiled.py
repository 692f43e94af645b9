"""The definitions by torch.compile are as accurate as they are; it takes long, so one size each."""

import os
import shutil

import pytest
import torch

from mtlkit.ops import linear_cross_entropy, margin_cross_entropy
from mtlkit.testing.modules import fresh_compiler

needs_a_compiler = pytest.mark.skipif(
    not any(map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))),
    reason="torch.compile needs a C++ compiler on a CPU, and finds neither g++ nor clang++",
)


def linear(name, x, weight, target):
    return linear_cross_entropy(x, weight, target, label_smoothing=0.1, implementation=name)


def margin(name, x, weight, target):
    return margin_cross_entropy(x, weight, target, implementation=name)


@needs_a_compiler
@pytest.mark.parametrize("op", [linear, margin])
def test_errors_are_at_most_twice_those_of_eager(op, no_worse_than_eager):
    generator = torch.Generator().manual_seed(0)
    low = [torch.randn(size, 32, generator=generator).bfloat16() for size in (64, 1500)]
    target = torch.randint(1500, (64,), generator=generator)
    target[::5] = -100

    def all_of(kind, name):
        own = [each.to(kind).requires_grad_() for each in low]
        loss = op(name, *own, target)
        assert loss.dtype == (torch.float64 if kind == torch.float64 else torch.float32)
        return loss, *torch.autograd.grad(loss, own)

    with fresh_compiler():
        found = all_of(torch.bfloat16, "compiled")
    no_worse_than_eager(
        torch.bfloat16, found, all_of(torch.bfloat16, "eager"), all_of(torch.float64, "eager")
    )
