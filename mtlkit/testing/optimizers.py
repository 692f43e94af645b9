"""What an optimiser and a learning-rate schedule promise."""

import copy
import math

import torch
from torch import nn

from mtlkit.testing.check import Subject, checks, require
from mtlkit.training.optimizer_state import optimizer_state, restore_optimizer

STEPS = 5


def _started(subject: Subject, **second: float) -> tuple[list[nn.Parameter], torch.optim.Optimizer]:
    """Two parameters, each in a group of its own, at (1, -2), and their optimiser."""
    own = [nn.Parameter(torch.tensor([1.0, -2.0])) for _ in range(2)]
    value = subject.value
    groups = [
        {"params": [one], "lr": value.lr, "base_lr": value.lr, "weight_decay": value.weight_decay}
        for one in own
    ]
    groups[1] |= second
    return own, value.build(groups)


def _step(own: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    torch.autograd.backward([one.square().sum() for one in own])
    optimizer.step()


def descends(subject: Subject) -> None:
    """Its steps make a loss smaller."""
    own, optimizer = _started(subject)
    require(
        isinstance(optimizer, torch.optim.Optimizer),
        f"build gives a {type(optimizer).__name__}, no torch.optim.Optimizer",
    )
    for _ in range(STEPS):
        _step(own, optimizer)
    size = own[0].square().sum().item()
    require(size < 5.0, f"{STEPS} steps bring the loss of 5 to {size:.4g}")


def heeds_the_rate_of_each_group(subject: Subject) -> None:
    """A group's own learning rate is taken, and what the schedule keeps there stays."""
    own, optimizer = _started(subject, lr=0.0)
    _step(own, optimizer)
    require(torch.equal(own[1], torch.tensor([1.0, -2.0])), "a group with the rate 0 is changed")
    kept = [group.get("base_lr") for group in optimizer.param_groups]
    require(None not in kept, "its groups lose `base_lr`, which schedules multiply")


def decays_only_what_it_is_told_to(subject: Subject) -> None:
    """A group with a weight decay of 0 is not drawn to zero."""
    own, optimizer = _started(subject, weight_decay=0.0)
    own[0].grad, own[1].grad = torch.zeros(2), torch.zeros(2)
    optimizer.step()
    require(
        torch.equal(own[1], torch.tensor([1.0, -2.0])),
        "a parameter without gradient and without decay is changed",
    )


def goes_on_where_it_stopped(subject: Subject) -> None:
    """Its state is tensors and plain values, from which it takes the same next step."""
    own, optimizer = _started(subject)
    for _ in range(STEPS):
        _step(own, optimizer)
    others, fresh = _started(subject)
    with torch.no_grad():
        for one, other in zip(own, others, strict=True):
            other.copy_(one)
    restore_optimizer(fresh, copy.deepcopy(optimizer_state(optimizer)))
    _step(own, optimizer)
    _step(others, fresh)
    require(torch.equal(own[0], others[0]), "after a stop it takes another step")


def is_a_factor(subject: Subject) -> None:
    """Over the whole training it gives finite factors, not negative and not all 0."""
    factors = [subject.value.at(step, 50) for step in range(50)]
    strange = [step for step, factor in enumerate(factors) if not math.isfinite(factor)]
    require(not strange, f"the factor of step {strange[:1]} is not finite")
    below = [step for step, factor in enumerate(factors) if factor < 0]
    require(not below, f"the factor of step {below[:1]} is negative")
    require(any(factors), "every factor is 0: nothing would be learned")


def remembers_nothing(subject: Subject) -> None:
    """The factor is a function of the step alone, so that a resumed run has the same."""
    steps = [0, 49, 7, 7, 0]
    first, second = ([subject.value.at(step, 50) for step in steps] for _ in range(2))
    require(first == second, "asked again it gives other factors")
    require(first[2] == first[3], "asked twice for one step it gives two factors")


OPTIMIZER_CHECKS = checks(
    descends,
    heeds_the_rate_of_each_group,
    decays_only_what_it_is_told_to,
    goes_on_where_it_stopped,
)
SCHEDULE_CHECKS = checks(is_a_factor, remembers_nothing)
