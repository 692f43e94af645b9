"""Schedules against their formulas and torch's, optimisers against torch's."""

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR

from mtlkit.optim import SGD, AdamW, Constant, Cosine, Steps

STEPS = 40


def rates(schedule):
    return [schedule.at(step, STEPS) for step in range(STEPS)]


def torch_rates(scheduler_of):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = scheduler_of(optimizer)
    found = []
    for _ in range(STEPS):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_is_constant():
    assert rates(Constant()) == [1.0] * STEPS


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_cosine_agrees_with_torch(floor):
    expected = torch_rates(lambda o: CosineAnnealingLR(o, T_max=STEPS, eta_min=floor))
    assert rates(Cosine(floor=floor)) == pytest.approx(expected, abs=1e-12)


def test_steps_agree_with_torch():
    expected = torch_rates(lambda o: MultiStepLR(o, milestones=[20, 30, 38], gamma=0.1))
    assert rates(Steps()) == pytest.approx(expected)


def test_steps_are_those_of_the_paper():
    """Drops at epochs 10, 15 and 19 of 20, whatever the number of steps in an epoch."""
    for per_epoch in (1, 7, 250):
        steps = 20 * per_epoch
        drops = [
            step // per_epoch
            for step in range(1, steps)
            if Steps().at(step, steps) < Steps().at(step - 1, steps)
        ]
        assert drops == [10, 15, 19]


@pytest.mark.parametrize("schedule", [Constant, Cosine, Steps])
def test_warm_up_grows_linearly_to_the_schedule(schedule):
    warm, plain = schedule(warmup=10), schedule()
    for step in range(STEPS):
        part = min(1.0, (step + 1) / 10)
        assert warm.at(step, STEPS) == pytest.approx(part * plain.at(step, STEPS))
    assert warm.at(0, STEPS) > 0  # the first update is no waste


def test_cosine_halves_in_the_middle_and_ends_at_its_floor():
    assert Cosine(floor=0.2).factor(0.5) == pytest.approx(0.6)
    assert Cosine(floor=0.2).factor(1.0) == pytest.approx(0.2)
    assert Cosine().factor(1 / 3) == pytest.approx((1 + math.cos(math.pi / 3)) / 2)


@pytest.mark.parametrize(
    ("config", "plain"),
    [
        (SGD(lr=0.1, momentum=0.5), lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.5)),
        (
            SGD(lr=0.1, momentum=0.5, nesterov=True),
            lambda g: torch.optim.SGD(g, lr=0.1, momentum=0.5, nesterov=True),
        ),
        (AdamW(lr=0.1, beta1=0.8), lambda g: torch.optim.AdamW(g, lr=0.1, betas=(0.8, 0.999))),
    ],
)
def test_optimizers_are_those_of_torch(config, plain):
    def trained(build):
        torch.manual_seed(0)
        weight, bias = nn.Parameter(torch.randn(3, 3)), nn.Parameter(torch.randn(3))
        optimizer = build(
            [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
        )
        for _ in range(3):
            optimizer.zero_grad()
            ((weight @ torch.ones(3) + bias) ** 2).sum().backward()
            optimizer.step()
        return weight, bias

    for found, expected in zip(trained(config.build), trained(plain), strict=True):
        assert found.equal(expected)


@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"lr": -1.0}, {"weight_decay": -0.1}])
@pytest.mark.parametrize("family", [SGD, AdamW])
def test_senseless_numbers_are_refused(family, bad):
    with pytest.raises(ValueError, match="expected a number"):
        family(**bad)


def test_options_that_torch_would_refuse_are_refused_first():
    with pytest.raises(ValueError, match="nesterov: expected a momentum above 0"):
        SGD(nesterov=True, momentum=0)
    with pytest.raises(ValueError, match="beta1: expected a number from 0 to below 1, found 1"):
        AdamW(beta1=1)
