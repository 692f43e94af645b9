"""ConicGrad against the problem that defines it, solved by SciPy in the span of the gradients."""

import pytest
import torch
from scipy.optimize import minimize

from mtlkit.weightings import ConicGrad, UpdateStats
from mtlkit.weightings.solvers import simplex

TOLERANCE = 1e-9
"""Largest fall of the worst improvement below that of SciPy, relative to |g_0| max |g_t|."""

KINDS = ("random", "similar", "conflicting", "badly scaled", "opposed")


def jacobian_of(kind, tasks):
    generator = torch.Generator().manual_seed(100 * tasks)
    jacobian = torch.randn(tasks, 12, generator=generator, dtype=torch.float64)
    match kind:
        case "similar":
            jacobian = 0.3 * jacobian + jacobian[0]
        case "conflicting":
            jacobian -= 0.9 * jacobian.mean(dim=0)
        case "badly scaled":
            exponents = torch.rand(tasks, 1, generator=generator, dtype=torch.float64)
            jacobian = (jacobian + 0.3) * 10 ** (2 * exponents)
        case "opposed":  # the first task to the mean, which no direction of a narrow cone improves
            jacobian[0] = 0.1 * jacobian[0] - 0.4 * jacobian[1:].sum(dim=0)
    return jacobian


def direction_of(jacobian, c):
    gramian = jacobian @ jacobian.T
    stats = UpdateStats(torch.ones(len(jacobian)), torch.arange(len(jacobian)))
    return ConicGrad(c=c).build((), 4)(gramian, stats) @ jacobian


def by_scipy(jacobian, c, *, of_mean=False):
    """Return argmax min_t g_t . d over the cone with |d| <= |g_0|, and the maximum.

    With `of_mean`, it is that of (g_t . d) / (g_0 . d). The maximum is relative to the lengths of
    the longest gradient and of the mean gradient.
    """
    mean = jacobian.mean(dim=0)
    basis = torch.linalg.qr(jacobian.T).Q
    rows = (jacobian @ basis / jacobian.norm(dim=1).max()).numpy()
    axis = (mean @ basis / mean.norm()).numpy()

    def length(point):
        return (point[:-1] @ point[:-1] + 1e-18) ** 0.5

    constraints = [
        {"type": "ineq", "fun": lambda point: rows @ point[:-1] - point[-1]},
        {"type": "ineq", "fun": lambda point: axis @ point[:-1] - c * length(point)},
        {"type": "eq", "fun": lambda point: axis @ point[:-1] - 1}
        if of_mean
        else {"type": "ineq", "fun": lambda point: 1 - length(point)},
    ]
    result = minimize(
        lambda point: -point[-1],
        [*axis, (rows @ axis).min()],
        method="SLSQP",
        constraints=constraints,
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    best = torch.from_numpy(result.x[:-1])
    return mean.norm() * (best @ basis.T) / best.norm().clamp(min=1e-12), result.x[-1]


@pytest.mark.parametrize("c", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", [2, 3, 5, simplex.FEW + 1])
def test_no_direction_of_the_cone_has_a_better_worst_improvement(tasks, kind, c):
    jacobian = jacobian_of(kind, tasks)
    mean, direction = jacobian.mean(dim=0), direction_of(jacobian, c)
    scale = mean.norm() * jacobian.norm(dim=1).max()
    assert direction.norm().item() == pytest.approx(mean.norm().item(), rel=1e-9)
    assert mean @ direction >= (c - 1e-7) * mean.norm() ** 2
    best, level = by_scipy(jacobian, c)
    if level > 1e-6:
        assert (jacobian @ direction).min() >= (jacobian @ best).min() - TOLERANCE * scale
    else:
        best, _ = by_scipy(jacobian, c, of_mean=True)
        reached, expected = ((jacobian @ d).min() / (mean @ d) for d in (direction, best))
        assert reached >= expected - TOLERANCE * scale / mean.norm() ** 2


def test_both_cases_of_the_problem_occur():
    levels = [by_scipy(jacobian_of(kind, 3), 0.9)[1] for kind in KINDS]
    assert min(levels) <= 1e-6 < max(levels)


def test_several_updates_are_those_of_scipy():
    """Two paths over quadratic losses from one start, one by the weighting and one by SciPy."""
    centers = torch.tensor([[3.0, 0.0], [0.0, 1.0], [-1.0, -2.0]], dtype=torch.float64)
    curvatures = torch.tensor([[1.0, 4.0], [3.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    ours = other = torch.tensor([4.0, 4.0], dtype=torch.float64)
    for _ in range(8):
        ours = ours - 0.1 * direction_of(curvatures * (ours - centers), 0.8)
        best, level = by_scipy(curvatures * (other - centers), 0.8)
        assert level > 1e-6
        other = other - 0.1 * best
    torch.testing.assert_close(ours, other, rtol=0, atol=1e-6)


def test_a_wide_cone_has_the_direction_of_mgda_and_a_narrow_one_the_mean_gradient():
    jacobian = jacobian_of("random", 3)
    shortest = simplex.min_norm(jacobian @ jacobian.T) @ jacobian
    mean = jacobian.mean(dim=0)
    torch.testing.assert_close(
        direction_of(jacobian, 0.1), shortest * mean.norm() / shortest.norm()
    )
    torch.testing.assert_close(direction_of(jacobian, 1 - 1e-12), mean, rtol=0, atol=1e-5)


@pytest.mark.parametrize("c", [0.0, 0.5, 0.9])
def test_a_gradient_of_zero_changes_the_mean_gradient_alone(c):
    jacobian = jacobian_of("random", 3)
    doubled = torch.cat([jacobian, jacobian])  # the same mean gradient with as many tasks
    absent = torch.cat([2 * jacobian, torch.zeros_like(jacobian)])
    torch.testing.assert_close(direction_of(absent, c), direction_of(doubled, c))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", [2, 4, simplex.FEW])
def test_the_solvers_on_floats_and_on_tensors_reach_the_same_value(tasks, kind):
    jacobian = jacobian_of(kind, tasks)
    gramian, slope = jacobian @ jacobian.T, jacobian @ jacobian.mean(dim=0) * 0.8
    radius = 0.6 * jacobian.mean(dim=0).norm()
    floats = simplex.smallest(gramian, slope, radius)
    tensors = simplex.conflict_averse(gramian, radius, slope)
    one, other = (slope @ w + radius * (w @ gramian @ w).sqrt() for w in (floats, tensors))
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
