"""Optimizers called without torch's compiler take the same steps, and keep their hooks."""

import sys

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, NAdam, Optimizer

from mtlkit.training.optimization import optimizer_calls
from mtlkit.training.optimization.optimizer_calls import take_step, without_compiler

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
