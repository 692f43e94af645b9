"""Solvers that iterate converge for many tasks, in a number of operations that does not grow."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mtlkit.weightings.solvers import bargaining, simplex
from mtlkit.weightings.solvers.active_set import minimize_on_simplex

COUNTS = (2, 4, 10, 40, 100)
MOST = 2000
"""Largest number of operations of a solver, whatever the number of tasks."""

KINDS = ("random", "badly scaled", "conflicting", "dependent")


def gramian_of_kind(kind, tasks):
    generator = torch.Generator().manual_seed(tasks)
    jacobian = torch.randn(tasks, 300, generator=generator, dtype=torch.float64) + 0.1
    match kind:
        case "badly scaled":
            jacobian *= 10 ** (2 * torch.rand(tasks, 1, generator=generator, dtype=torch.float64))
        case "conflicting":
            jacobian -= 0.99 * jacobian.mean(dim=0)
        case "dependent":  # rank 3
            parts, basis = (
                torch.randn(*shape, generator=generator, dtype=torch.float64)
                for shape in ((tasks, 3), (3, 300))
            )
            jacobian = parts @ basis
    return jacobian @ jacobian.T


class Operations(TorchDispatchMode):
    """The number of operations of torch in the context, each of a few microseconds."""

    count = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.count += 1
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", COUNTS)
def test_cagrad_has_no_duality_gap(tasks, kind):
    """The worst improvement of the direction (eq. 3) equals the dual objective (eq. 4)."""
    gramian = gramian_of_kind(kind, tasks)
    mean = gramian.mean(dim=1)
    radius = 0.5 * mean.mean().sqrt()
    with Operations() as operations:
        weights = simplex.conflict_averse(gramian, radius)
    assert operations.count <= MOST
    assert weights.sum().item() == pytest.approx(1)
    assert (weights >= 0).all()
    length = (weights @ gramian @ weights).clamp(min=0).sqrt()
    dual = weights @ mean + radius * length
    scale = gramian.diagonal().mean()
    if length > 1e-6 * scale.sqrt():
        primal = (mean + radius * gramian @ weights / length).min()
        assert dual - primal <= 1e-5 * dual.abs() + 1e-8 * scale
    else:  # the gradients cancel; no direction improves all
        assert dual <= 1e-6 * scale


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", COUNTS)
def test_mgda_has_the_certificate_of_a_shortest_vector(tasks, kind):
    gramian = gramian_of_kind(kind, tasks)
    with Operations() as operations:
        weights = simplex.min_norm(gramian)
    assert operations.count <= MOST
    products, square = gramian @ weights, weights @ gramian @ weights
    assert weights.sum().item() == pytest.approx(1)
    assert (products >= square * (1 - 1e-5) - 1e-12 * gramian.diagonal().max()).all()


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", KINDS[:3])
@pytest.mark.parametrize("tasks", COUNTS)
def test_the_bargain_holds(tasks, kind, power):
    gramian = gramian_of_kind(kind, tasks)
    with Operations() as operations:
        weights = bargaining.bargain(gramian, power)
    assert operations.count <= MOST
    ones = torch.ones(tasks, dtype=torch.float64)
    torch.testing.assert_close(gramian @ weights * weights**power, ones, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tasks", [2, 4, 8])
def test_few_tasks_have_the_same_weights_on_floats_and_on_tensors(tasks, kind):
    """On a CPU, few tasks are solved on floats; the solvers of a GPU are exact as well."""
    gramian = gramian_of_kind(kind, tasks)
    gramian[0] = gramian[:, 0] = gramian[-1]  # two equal gradients
    gramian[0, 0] = gramian[-1, -1]
    mean = gramian.mean(dim=1)
    for slope, radius in ((torch.zeros_like(mean), 1.0), (mean, 0.7 * mean.mean().sqrt().item())):

        def value(weights, slope=slope, radius=radius):
            return slope @ weights + radius * (weights @ gramian @ weights).clamp(min=0).sqrt()

        floats = minimize_on_simplex(gramian.tolist(), slope.tolist(), radius)
        floats = torch.tensor(floats, dtype=torch.float64)
        if slope.any():
            tensors = simplex.conflict_averse(gramian, torch.tensor(radius).double())
        else:
            tensors = simplex.min_norm_among_supports(gramian)
        assert floats.sum().item() == pytest.approx(1)
        assert (floats >= 0).all()
        torch.testing.assert_close(value(floats), value(tensors), rtol=1e-6, atol=1e-6)
    if kind != "dependent":
        expected = bargaining.bargain_of_tensors(gramian, 0.5)
        torch.testing.assert_close(bargaining.bargain(gramian, 0.5), expected, rtol=1e-6, atol=0)


def test_floats_continue_without_gradients_and_report_what_is_not_finite():
    assert minimize_on_simplex([[0.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 1.0) == [1.0, 0.0]
    wrong = minimize_on_simplex([[float("nan"), 0.0], [0.0, 1.0]], [0.0, 0.0], 1.0)
    assert all(weight != weight for weight in wrong)
