"""Schedules against their formulas and torch's, optimisers against torch's."""

import json
import math
from functools import partial

import pytest
import torch
from timm.optim import list_optimizers
from torch import nn
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
)

from mtlkit.errors import AssemblyError
from mtlkit.optim import (
    SGD,
    Adam,
    AdamW,
    Constant,
    Cosine,
    ExponentialDecay,
    NAdam,
    OneCycle,
    PolynomialDecay,
    RAdam,
    Steps,
    TimmOptimizer,
)
from mtlkit.training.optimization.optimizer_state import (
    OptimizerState,
    optimizer_state,
    restore_optimizer,
)
from mtlkit.training.optimization.parameter_groups import name_groups

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


@pytest.mark.parametrize("power", [1.0, 2.5])
def test_polynomial_decay_agrees_with_torch(power):
    expected = torch_rates(lambda o: PolynomialLR(o, total_iters=STEPS, power=power))
    assert rates(PolynomialDecay(power=power)) == pytest.approx(expected, abs=1e-12)


def test_exponential_decay_agrees_with_torch():
    expected = torch_rates(lambda o: ExponentialLR(o, gamma=0.01 ** (1 / STEPS)))
    assert rates(ExponentialDecay(final=0.01)) == pytest.approx(expected)


def test_one_cycle_is_its_formula_and_begins_as_torch():
    """Torch counts both parts in steps from 0 to the last one; ours are fractions of training."""
    factors = [OneCycle(rise=0.3).factor(progress) for progress in (0.0, 0.15, 0.3, 0.65, 1.0)]
    assert factors == pytest.approx([1 / 25, (1 + 1 / 25) / 2, 1.0, (1 + 1e-4) / 2, 1e-4])
    torchs = torch_rates(lambda o: OneCycleLR(o, 1.0, total_steps=STEPS, cycle_momentum=False))
    ours = rates(OneCycle(end_divisor=25e4))
    assert ours[0] == pytest.approx(torchs[0])
    steepest = math.pi / 2 / (0.3 * STEPS)  # of one step, the largest shift between both
    assert max(abs(a - b) for a, b in zip(ours, torchs, strict=True)) < steepest


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


@pytest.mark.parametrize(
    "schedule", [Constant, Cosine, Steps, PolynomialDecay, ExponentialDecay, OneCycle]
)
def test_warm_up_grows_linearly_to_the_schedule(schedule):
    warm, plain = schedule(warmup_steps=10), schedule()
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
        (
            Adam(lr=0.1, beta1=0.8, amsgrad=True),
            lambda g: torch.optim.Adam(g, lr=0.1, betas=(0.8, 0.999), amsgrad=True),
        ),
        (
            NAdam(lr=0.1),
            lambda g: torch.optim.NAdam(g, lr=0.1, decoupled_weight_decay=True),
        ),
        (
            RAdam(lr=0.1),
            lambda g: torch.optim.RAdam(g, lr=0.1, decoupled_weight_decay=True),
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
    with pytest.raises(ValueError, match="beta1: expected a number from 0 to below 1, got 1"):
        AdamW(beta1=1)


def network_and(optimizer):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4))
    weights = [p for p in network.parameters() if p.dim() > 1]
    biases = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "lr": 1e-3, "weight_decay": 0.01, "name": "weights"},
        {"params": biases, "lr": 1e-3, "weight_decay": 0.0, "name": "biases"},
    ]
    built = optimizer.build(groups)
    name_groups(built)
    return network, built


def trained(network, optimizer, updates):
    for update in updates:
        inputs = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(update))
        optimizer.zero_grad()
        network(inputs).square().mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in network.parameters()]


@pytest.mark.filterwarnings("ignore:It is highly recommended to have 'opt_einsum' installed")
@pytest.mark.parametrize("name", [str(name) for name in list_optimizers()])
def test_every_optimizer_of_timm_trains_and_continues_exactly(name):
    config = TimmOptimizer(name=name, lr=1e-3)
    if name.startswith(("bnb", "fused")):
        pytest.skip("an optimizer for CUDA, of bitsandbytes or Apex")
    if name == "adahessian":
        with pytest.raises(AssemblyError, match="'adahessian', which needs second derivatives"):
            network_and(config)
        return
    network, optimizer = network_and(config)
    start = trained(network, optimizer, range(3))
    saved = optimizer_state(optimizer)
    tensors = {key: value.clone() for key, value in saved.tensors.items()}
    saved = OptimizerState(tensors, json.loads(json.dumps(saved.values)))
    expected = trained(network, optimizer, range(3, 6))
    assert not any(one.equal(other) for one, other in zip(start, expected, strict=True))
    network, optimizer = network_and(config)
    for parameter, value in zip(network.parameters(), start, strict=True):
        parameter.data.copy_(value)
    restore_optimizer(optimizer, saved)
    again = trained(network, optimizer, range(3, 6))
    if not name.startswith("kron"):  # timm's own state of kron does not continue exactly either
        assert all(one.equal(other) for one, other in zip(again, expected, strict=True))


def test_an_unknown_name_or_option_of_timm_is_refused():
    groups = [{"params": [nn.Parameter(torch.ones(2))], "lr": 0.1}]
    with pytest.raises(AssemblyError, match=r"timm has no optimizer 'lyon'; did you mean 'lion'"):
        TimmOptimizer(name="lyon").build(groups)
    with pytest.raises(AssemblyError, match=r"timm cannot build 'lion' with {'beta': 0.1}: .*beta"):
        TimmOptimizer(name="lion", options={"beta": 0.1}).build(groups)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_of_parameters_with_a_first_gradient_in_a_later_update(nesterov):
    def trained(build):
        torch.manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(3)) for _ in range(3)]
        optimizer = build([{"params": parameters}])
        for step in range(4):
            for number, parameter in enumerate(parameters):
                parameter.grad = torch.randn(3) if step >= number else None
            optimizer.step()
        return torch.stack(parameters).detach()

    config = SGD(lr=0.1, momentum=0.9, nesterov=nesterov)
    plain = partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=nesterov, foreach=False)
    torch.testing.assert_close(trained(config.build), trained(plain), rtol=1e-6, atol=1e-7)
