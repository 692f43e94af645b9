"""EPO against its linear program by SciPy, and on a problem whose Pareto front is known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from mtlkit.task import Task, loss_terms
from mtlkit.weightings import EPO, UpdateStats
from mtlkit.weightings.solvers import linear_program
from mtlkit.weightings.solvers.linear_program import maximize_on_simplex

SPEC = importlib.util.spec_from_file_location(
    "pareto_front", Path(__file__).parents[2] / "benchmarks" / "pareto_front.py"
)
pareto_front = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(pareto_front)


def by_scipy(objective, matrix, lower):
    """The maximum of the linear program over the simplex."""
    solved = linprog(
        -np.asarray(objective), A_ub=-np.asarray(matrix), b_ub=-np.asarray(lower),
        A_eq=np.ones((1, len(objective))), b_eq=[1.0],
    )  # fmt: skip
    assert solved.success
    return -solved.fun


@pytest.mark.parametrize("tasks", [1, 2, 4, 10, 40, 100])
def test_the_linear_program_is_solved_in_a_bounded_number_of_steps(tasks, monkeypatch):
    steps = []
    solve = torch.linalg.solve_ex
    counted = lambda *arguments: steps.append(1) or solve(*arguments)  # noqa: E731
    monkeypatch.setattr(torch.linalg, "solve_ex", counted)
    for seed in range(6):
        generator = torch.Generator().manual_seed(seed)
        # more gradients than entries, and fewer
        jacobian = torch.randn(
            tasks, 5 if seed % 2 else 200, generator=generator, dtype=torch.float64
        )
        gramian = jacobian @ jacobian.T * 10.0 ** (seed - 3)
        objective = gramian @ torch.randn(tasks, generator=generator, dtype=torch.float64)
        lower = torch.where(objective > 0, -2 * gramian.abs().max(), objective)
        steps.clear()
        weights = maximize_on_simplex(objective, gramian, lower)
        assert len(steps) < linear_program.STEPS
        size = gramian.abs().max()
        assert weights.sum().item() == pytest.approx(1)
        assert (gramian @ weights - lower).min() > -1e-7 * size
        best = by_scipy(objective, gramian, lower)
        assert (objective @ weights).item() == pytest.approx(best, abs=1e-6 * size.item())


def by_the_paper(gramian, losses, preferences, tolerance=1e-4):
    """The linear program of eq. 24, in NumPy and with the sets J and J* of the paper."""
    gramian, losses, preferences = (part.numpy() for part in (gramian, losses, preferences))
    products = preferences * losses
    fractions = products / products.sum()
    divergence = (fractions * np.log(len(losses) * fractions)).sum()
    if divergence <= tolerance:
        return gramian.sum(axis=1), gramian, np.zeros(len(losses))
    anchor = preferences * (np.log(len(losses) * fractions) - divergence)
    goal = gramian @ anchor
    helped = {t for t in range(len(losses)) if goal[t] > 0}
    largest = {t for t in range(len(losses)) if products[t] == products.max()}
    rows = [t for t in range(len(losses)) if t not in helped or t in largest]
    lower = [0.0 if t in largest or not helped else goal[t] for t in rows]
    return goal, gramian[rows], lower


@pytest.mark.parametrize("tasks", [2, 3, 6])
def test_weights_solve_the_program_of_the_paper(tasks):
    names = [f"t{number}" for number in range(tasks)]
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(tasks, 4, generator=generator, dtype=torch.float64)
        losses = torch.rand(tasks, generator=generator) + 0.05
        preferences = torch.rand(tasks, generator=generator) + 0.1
        if seed % 5 == 0:
            losses = 1 / preferences  # on the ray
        options = EPO(preferences=dict(zip(names, preferences.tolist(), strict=True)))
        module = options.build(loss_terms({name: Task() for name in names}), 1)
        gramian = jacobian @ jacobian.T
        weights = module(gramian, UpdateStats(losses, torch.arange(tasks)))
        goal, rows, lower = by_the_paper(gramian, losses.double(), preferences.double())
        assert weights.min() >= 0
        assert (rows @ weights.numpy() - lower).min() > -1e-6
        best = by_scipy(goal, rows, lower)
        assert goal @ weights.numpy() == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_training_ends_where_the_ray_meets_the_front(ratio):
    first, second = pareto_front.optimum(EPO(preferences={"first": ratio, "second": 1.0}))
    assert ratio * first == pytest.approx(second, rel=0.03)
    expected = pareto_front.on_front(ratio)
    assert (first, second) == pytest.approx(expected, abs=0.01)


def test_a_weighted_sum_reaches_only_the_ends_of_this_front():
    """The front is concave, so constant weights other than equal ones end at one of its ends."""
    first, second = pareto_front.optimum(pareto_front.weighted_sum(3.0))
    assert first < 0.01
    assert second > 0.95
