"""Checks of optimizers and learning-rate schedules."""

import copy
import math

import torch
from torch import nn

from mtlkit.testing.check import Subject, checks, require
from mtlkit.training.optimization.optimizer_calls import set_training
from mtlkit.training.optimization.optimizer_state import optimizer_state, restore_optimizer
from mtlkit.training.optimization.parameter_groups import left_out, name_groups

STEPS = 5


def _started(subject: Subject, **second: float) -> tuple[list[nn.Parameter], torch.optim.Optimizer]:
    """Return two parameters at (1, -2), each in its own group, and their optimizer."""
    parameters = [nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    value = subject.value
    options = {"lr": value.lr, "weight_decay": value.weight_decay}
    first, last = ([parameter] for parameter in parameters)
    optimizer = value.build([{"params": first, **options}, {"params": last, **options, **second}])
    name_groups(optimizer)
    set_training(optimizer, True)
    return parameters, optimizer


def _step(parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.autograd.backward([p.square().sum() for p in parameters])
    optimizer.step()


def descends(subject: Subject) -> None:
    """Its steps reduce a loss."""
    parameters, optimizer = _started(subject)
    require(
        isinstance(optimizer, torch.optim.Optimizer),
        f"build returns a {type(optimizer).__name__}; expected a torch.optim.Optimizer",
    )
    for _ in range(STEPS):
        _step(parameters, optimizer)
    size = parameters[0].square().sum().item()
    require(size < 5.0, f"{STEPS} steps change the loss from 5 to {size:.4g}")


def updates_every_group(subject: Subject) -> None:
    """It has the parameters of every group."""
    parameters, optimizer = _started(subject)
    absent = left_out(optimizer, [{"params": parameters}])
    require(not absent, "a group of parameters is left out; expected all groups that it is given")


def uses_the_rate_of_each_group(subject: Subject) -> None:
    """The learning rate of a group is used."""
    parameters, optimizer = _started(subject, lr=0.0)
    _step(parameters, optimizer)
    require(torch.equal(parameters[1], torch.tensor([1.0, -2.0])), "a group with rate 0 changes")


def uses_the_decay_of_each_group(subject: Subject) -> None:
    """A group with a weight decay of 0 does not decay."""
    parameters, optimizer = _started(subject, weight_decay=0.0)
    parameters[0].grad, parameters[1].grad = torch.zeros(2), torch.zeros(2)
    optimizer.step()
    require(
        torch.equal(parameters[1], torch.tensor([1.0, -2.0])),
        "a parameter without gradient and without decay is changed",
    )


def resumes_exactly(subject: Subject) -> None:
    """Its state consists of tensors and plain values; restored, it takes the same next step."""
    parameters, optimizer = _started(subject)
    for _ in range(STEPS):
        _step(parameters, optimizer)
    others, fresh = _started(subject)
    with torch.no_grad():
        for one, other in zip(parameters, others, strict=True):
            other.copy_(one)
    restore_optimizer(fresh, copy.deepcopy(optimizer_state(optimizer)))
    _step(parameters, optimizer)
    _step(others, fresh)
    require(torch.equal(parameters[0], others[0]), "after a restore it takes another step")


def returns_finite_factors(subject: Subject) -> None:
    """All factors are finite and not negative, and some are positive."""
    factors = [subject.value.at(step, 50) for step in range(50)]
    infinite = [step for step, factor in enumerate(factors) if not math.isfinite(factor)]
    require(not infinite, f"the factor of step {infinite[:1]} is not finite")
    below = [step for step, factor in enumerate(factors) if factor < 0]
    require(not below, f"the factor of step {below[:1]} is negative")
    require(any(factors), "every factor is 0: the model would not be trained")


def is_stateless(subject: Subject) -> None:
    """The factor depends only on the step, so that a resumed run has the same."""
    steps = [0, 49, 7, 7, 0]
    first, second = ([subject.value.at(step, 50) for step in steps] for _ in range(2))
    require(first == second, "a second call returns other factors")
    require(first[2] == first[3], "two calls for one step return different factors")


OPTIMIZER_CHECKS = checks(
    descends,
    updates_every_group,
    uses_the_rate_of_each_group,
    uses_the_decay_of_each_group,
    resumes_exactly,
)
SCHEDULE_CHECKS = checks(returns_finite_factors, is_stateless)
