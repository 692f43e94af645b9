"""Weightings against step-by-step implementations of what the authors' code computes.

Each reference works on gradients of losses by autograd, with torch's own optimizers, over several
updates. Aggregators that TorchJD implements are compared with it in `test_gramians.py`.
"""

import pytest
import torch

from mtlkit.task import Task, loss_terms
from mtlkit.task_types import Role
from mtlkit.weightings import (
    DBMTL,
    IMTL,
    AlignedMTL,
    CAGrad,
    ExcessMTL,
    FairGrad,
    MoCo,
    NashMTL,
    STCHLog,
    StepInfo,
    UpdateStats,
)

T, P = 4, 11
TERMS = loss_terms({name: Task(role=Role.MAIN if name == "a" else Role.SIDE) for name in "abcd"})


def updates(count, *, seed=0, dtype=torch.float32, per_epoch=3):
    """Jacobians (T, P), losses (T,) and positions of `count` updates."""
    generator = torch.Generator().manual_seed(seed)
    for number in range(count):
        jacobian = torch.randn(T, P, generator=generator, dtype=dtype)
        losses = torch.rand(T, generator=generator) + 0.3
        step = StepInfo(number, number // per_epoch, number % per_epoch == 0, number)
        yield jacobian, UpdateStats(losses, torch.arange(T), step)


@pytest.mark.parametrize(("momentum", "decay"), [(0.9, 0.0), (0.5, 0.5)])
def test_db_mtl(momentum, decay):
    """Running means of the gradients of log losses from zero; heads descend on log losses."""
    module = DBMTL(momentum=momentum, momentum_decay=decay).build(TERMS, 4)
    module.allocate(P)
    mean = torch.zeros(T, P)
    for number, (jacobian, stats) in enumerate(updates(8), start=1):
        logs = jacobian / stats.losses.unsqueeze(1)
        mean = logs + momentum / number**decay * (mean - logs)
        norms = mean.norm(dim=1)
        wanted = ((norms.max() / norms).unsqueeze(1) * mean).sum(dim=0)
        torch.testing.assert_close(module(jacobian, stats).direction, wanted)
        torch.testing.assert_close(module.means, mean)
        torch.testing.assert_close(module.head_weights(stats), 1 / stats.losses)


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_moco_released(decay):
    """Gradients as long as their losses, means from zero, and a softmax of the weights."""
    config = MoCo(form="released", tracking=0.4, rate=0.3, pull=0.1, decay=decay)
    module = config.build(TERMS, 4)
    module.allocate(P)
    mean, weights = torch.zeros(T, P), torch.full((T,), 1 / T)
    for number, (jacobian, stats) in enumerate(updates(8), start=1):
        scaled = torch.nn.functional.normalize(jacobian, dim=1) * stats.losses.unsqueeze(1)
        mean = mean - 0.4 / number**decay * (mean - scaled)
        matrix = mean @ mean.T + 0.1 * torch.eye(T)
        weights = (weights - 0.3 / number**decay * matrix @ weights).softmax(dim=0)
        found = module(jacobian, stats)
        torch.testing.assert_close(found.weights, weights)
        torch.testing.assert_close(found.direction, mean.T @ weights)


def test_moco_of_the_paper_divides_both_rates():
    module = MoCo(tracking=0.4, rate=0.3, decay=0.5).build(TERMS, 4)
    module.allocate(P)
    mean = None
    for number, (jacobian, stats) in enumerate(updates(5), start=1):
        mean = jacobian if mean is None else mean - 0.4 / number**0.5 * (mean - jacobian)
        module(jacobian, stats)
        torch.testing.assert_close(module.tracked, mean)


@pytest.mark.parametrize("mu", [0.3, 1.0])
def test_stch_log(mu):
    """The sum of log losses for two epochs; then T mu log sum (L / nadir)^(1 / mu)."""
    module = STCHLog(smoothing=mu, warmup=2).build(TERMS, 4)
    kept = []
    for _, stats in updates(12):
        losses = stats.losses.clone().requires_grad_()
        if stats.step.epoch < 2:
            kept += [stats.losses] if stats.step.epoch == 1 else []
            total = losses.log().sum()
        else:
            ratios = (losses / torch.stack(kept).mean(dim=0)).log()
            total = T * mu * torch.logsumexp(ratios / mu, dim=0)
        (wanted,) = torch.autograd.grad(total, losses)
        torch.testing.assert_close(module.weights(stats), wanted)


def test_stch_log_without_a_nadir_starts_at_the_first_loss():
    module = STCHLog(warmup=1).build(TERMS, 4)
    module.weights(UpdateStats(torch.ones(2), torch.arange(2), StepInfo(0, 0)))
    late = UpdateStats(torch.tensor([1.0, 1.0, 5.0]), torch.arange(3), StepInfo(1, 1))
    # all losses are at their nadirs: the softmax is equal
    torch.testing.assert_close(module.weights(late), 1 / late.losses)


def test_imtl():
    """Equal projections of the scaled gradients, by the closed form; scales descend by Adam."""
    module = IMTL(learning_rate=0.05).build(TERMS, 4)
    scale = torch.zeros(T, requires_grad=True)
    adam = torch.optim.Adam([scale], lr=0.05)
    for jacobian, stats in updates(10, dtype=torch.float64):
        factors = scale.detach().exp()
        rows = factors.double().unsqueeze(1) * jacobian
        units = rows / rows.norm(dim=1, keepdim=True)
        differences, turned = rows[:1] - rows[1:], units[:1] - units[1:]
        others = rows[0] @ turned.T @ torch.linalg.inv(differences @ turned.T)
        alpha = torch.cat([1 - others.sum().reshape(1), others])
        found = module(jacobian @ jacobian.T, stats)
        torch.testing.assert_close(found, alpha * factors.double(), rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(module.head_weights(stats), factors)
        adam.zero_grad()
        (scale.exp() * stats.losses - scale).sum().backward()
        adam.step()
        torch.testing.assert_close(module.log_scale, scale.detach(), rtol=1e-4, atol=1e-5)


def test_nash_mtl_clips_shared_parameters_only():
    module = NashMTL(largest_mean=None, largest_norm=0.1).build(TERMS, 4)
    free = NashMTL(largest_mean=None, largest_norm=None).build(TERMS, 4)
    for jacobian, stats in updates(4, dtype=torch.float64):
        gramian = jacobian @ jacobian.T
        weights = free(gramian, stats)
        clipped = module(gramian, stats)
        assert (clipped @ jacobian).norm().item() == pytest.approx(0.1)
        torch.testing.assert_close(clipped / clipped.sum(), weights / weights.sum())
        torch.testing.assert_close(module.head_weights(stats), weights.float())


@pytest.mark.parametrize("config", [NashMTL(largest_norm=None), FairGrad()])
def test_the_mean_weight_of_a_bargain_is_bounded(config):
    """Short gradients have long bargains, which are scaled down without turning the direction."""
    bounded = config.build(TERMS, 4)
    free = type(config)(**{**FREE, **({"largest_norm": None} if config != FairGrad() else {})})
    for jacobian, stats in updates(4, dtype=torch.float64):
        for length in (0.01, 10.0):
            gramian = length**2 * jacobian @ jacobian.T
            found, weights = bounded(gramian, stats), free.build(TERMS, 4)(gramian, stats)
            assert found.mean() <= 1 + 1e-12
            torch.testing.assert_close(found, weights * min(1.0, 1 / weights.mean().item()))


FREE = {"largest_mean": None}


class TestStatedDifferences:
    """Factors by which the authors' code, as in LibMTL, differs from ours; docs state them."""

    def test_aligned_mtl_sums_what_we_average(self):
        module = AlignedMTL().build(TERMS, 4)
        for jacobian, stats in updates(5, dtype=torch.float64):
            u, s, v = torch.linalg.svd(jacobian, full_matrices=False)
            summed = s[-1] * (u @ v).sum(dim=0)
            torch.testing.assert_close(T * module(jacobian @ jacobian.T, stats) @ jacobian, summed)

    def test_excess_mtl_has_weights_of_sum_1_rather_than_t(self):
        module = ExcessMTL(rate=0.5).build(TERMS, 4)
        module.allocate(P)
        squares, weights, first = torch.zeros(T, P), torch.ones(T), None
        for jacobian, stats in updates(6):
            squares = squares + jacobian**2
            excess = (jacobian**2 / (squares + 1e-7).sqrt()).sum(dim=1)
            first = excess if first is None else first
            weights = weights * (0.5 * excess / first).exp()
            weights = T * weights / weights.sum()
            torch.testing.assert_close(T * module(jacobian, stats).weights, weights)

    def test_cagrad_is_not_divided_by_one_plus_c_squared(self):
        """The direction lies within c |g_0| of the mean g_0, on the sphere, as in equation 3."""
        module = CAGrad(c=0.4).build(TERMS, 4)
        for jacobian, stats in updates(5, dtype=torch.float64):
            mean = jacobian.mean(dim=0)
            distance = (module(jacobian @ jacobian.T, stats) @ jacobian - mean).norm()
            assert distance.item() == pytest.approx(0.4 * mean.norm().item(), rel=1e-6)
