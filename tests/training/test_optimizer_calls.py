"""Optimizers called without torch's compiler take the same steps, and keep their hooks."""

import sys

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, NAdam, Optimizer

from mtlkit.training.optimization import optimizer_calls
from mtlkit.training.optimization.optimizer_calls import (
    clear_gradients,
    take_step,
    without_compiler,
)

MARKED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


class NoCompiler(dict):
    """The imported modules as if torch's compiler were none of them."""

    def __contains__(self, name):
        return name != "torch._dynamo" and super().__contains__(name)


@pytest.fixture
def compiler_is_not_imported(monkeypatch):
    for name in MARKED:
        vars(getattr(Optimizer, name).__wrapped__).pop("__dynamo_disable", None)

    class Sys:
        modules = NoCompiler(sys.modules)

    monkeypatch.setattr(optimizer_calls, "sys", Sys)


def trained(kind, step):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(3, 3))
    optimizer = kind([weight], lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (weight @ torch.ones(3)).square().sum().backward()
        step(optimizer)
    return weight, optimizer


@pytest.mark.parametrize("kind", [SGD, AdamW, NAdam])
def test_the_step_is_that_of_torch(kind, compiler_is_not_imported):
    weight, _ = trained(kind, take_step)
    assert weight.equal(trained(kind, kind.step)[0])
    assert weight.requires_grad


def test_methods_are_called_as_they_are_and_restored(compiler_is_not_imported):
    with without_compiler():
        assert all(
            getattr(Optimizer, n).__wrapped__.__dynamo_disable is getattr(Optimizer, n).__wrapped__
            for n in MARKED
        )
    assert not any("__dynamo_disable" in vars(getattr(Optimizer, n).__wrapped__) for n in MARKED)


def test_hooks_of_a_step_are_called(compiler_is_not_imported):
    calls = []
    _, optimizer = trained(SGD, take_step)
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    take_step(optimizer)
    assert calls == [1]


def test_a_replaced_step_is_called(compiler_is_not_imported):
    _, optimizer = trained(SGD, take_step)
    calls = []
    optimizer.step = lambda: calls.append(1)
    take_step(optimizer)
    assert calls == [1]


def test_gradients_are_cleared_by_the_optimizers_own_method_if_it_has_one():
    class Own(SGD):
        cleared = 0

        def zero_grad(self, set_to_none=True):
            self.cleared += 1
            super().zero_grad(set_to_none)

    for kind in (SGD, Own):
        weight = nn.Parameter(torch.ones(2))
        optimizer = kind([weight], lr=0.1)
        weight.grad = torch.ones(2)
        clear_gradients(optimizer)
        assert weight.grad is None
    assert optimizer.cleared == 1


def test_a_step_that_replaces_another_is_taken(compiler_is_not_imported, monkeypatch):
    """The unwrapped step is that of the present method, not of an earlier one."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = SGD([weight], lr=0.1)
    weight.grad = torch.ones(2)
    take_step(optimizer)
    assert weight.tolist() == pytest.approx([0.9, 0.9])
    monkeypatch.setattr(SGD, "step", lambda self: weight.data.zero_())
    take_step(optimizer)
    assert weight.tolist() == [0.0, 0.0]
