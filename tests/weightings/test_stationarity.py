"""Weightings of gradients on matrices of each rank and class of stationarity, as TorchJD is tested.

A Jacobian is strongly stationary if a positive combination of its rows is zero, weakly stationary
if a nonnegative one is, and not stationary if some direction improves all losses.
"""

import pytest
import torch
import torchjd.aggregation as peer

from mtlkit.task import Task, loss_terms
from mtlkit.task_types import Role
from mtlkit.weightings import (
    CRMOGM,
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FairGrad,
    GradVac,
    GramianWeighting,
    JacobianWeighting,
    NashMTL,
    PCGrad,
    Singular,
    StatefulJacobian,
    StepInfo,
    UpdateStats,
)

SHAPES = ((2, 3, 2), (2, 3, 1), (5, 9, 4), (5, 9, 2), (9, 12, 8), (9, 12, 5), (15, 20, 14))
"""Rows, columns and rank."""

SCALES = (0.0, 1e-10, 1.0, 1e5, 1e15)


def orthonormal(rows, columns, generator):
    values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(values)[0]


def jacobian_of(kind, rows, columns, rank, seed=0):
    """A Jacobian (rows, columns) of `rank`, of one class of stationarity."""
    generator = torch.Generator().manual_seed(seed)
    positive = torch.rand(rows, generator=generator, dtype=torch.float64) + 0.1
    if kind == "strong":
        null = positive
    elif kind == "weak":  # the combination has zeros
        null = positive * (torch.arange(rows) < (rows + 1) // 2)
    else:
        null = None
    left = torch.randn(rows, rank, generator=generator, dtype=torch.float64)
    if null is None:
        left[:, 0] = positive  # the first basis direction improves all losses
    else:
        left -= torch.outer(null, null @ left) / null.square().sum()
    return left @ orthonormal(columns, rank, generator).T


def cases(*kinds):
    """All shapes of these classes that exist, with their names."""
    return [
        pytest.param(jacobian_of(kind, rows, columns, rank), id=f"{kind}-{rows}x{columns}-{rank}")
        for kind in kinds
        for rows, columns, rank in SHAPES
        if kind == "none" or rank < rows
    ]


def terms_of(count):
    """A main task and side tasks."""
    roles = {f"t{row}": Role.SIDE if row else Role.MAIN for row in range(count)}
    return loss_terms({name: Task(role=role) for name, role in roles.items()})


def direction(config, jacobian, step=0):
    """The direction that a new module of `config` returns for `jacobian`."""
    count = len(jacobian)
    terms = terms_of(count)
    stats = UpdateStats(
        torch.linspace(0.5, 2.0, count), torch.arange(count), StepInfo(number=step, seed=step)
    )
    module = config.build(terms, 4)
    if isinstance(module, JacobianWeighting):
        if isinstance(module, StatefulJacobian):
            module.allocate(jacobian.shape[1])
        return module(jacobian.float(), stats).direction.double()
    return module(jacobian @ jacobian.T, stats) @ jacobian


TERMS = terms_of(4)
FREE = NashMTL(largest_mean=None, largest_norm=None)


@pytest.mark.parametrize("jacobian", cases("strong", "weak", "none"))
def test_the_classes_are_what_they_are_called(jacobian, request):
    """Checked by the shortest combination, which is zero exactly for stationary ones."""
    shortest = direction(MGDA(), jacobian).norm() / jacobian.norm(dim=1).max()
    stationary = "none" not in request.node.callspec.id
    assert (shortest < 1e-6) == stationary
    rank = int(request.node.callspec.id.rsplit("-", 1)[1])
    assert torch.linalg.matrix_rank(jacobian) == rank


@pytest.mark.parametrize("scale", SCALES)
def test_every_direction_has_the_structure_of_a_gradient(gradient_scheme, scale):
    """Also for matrices of zeros and entries up to 1e15."""
    if not isinstance(gradient_scheme.build(TERMS, 4), GramianWeighting) and scale == 1e15:
        return  # squares of 1e15 overflow in float32, which holds Jacobians
    for kind in ("strong", "weak", "none"):
        jacobian = scale * jacobian_of(kind, 4, 7, 3)
        found = direction(gradient_scheme, jacobian)
        assert found.shape == jacobian[0].shape
        assert found.isfinite().all()


@pytest.mark.parametrize("jacobian", cases("none"))
@pytest.mark.parametrize(
    "config",
    [MGDA(), FREE, FairGrad(largest_mean=None), NashMTL()],
    ids=["mgda", "nash-mtl free", "fairgrad", "nash-mtl"],
)
def test_no_loss_rises_where_all_can_fall(config, jacobian):
    """Bargains and the shortest combination conflict with no gradient."""
    products = jacobian @ direction(config, jacobian)
    assert (products >= -1e-7 * products.abs().max()).all()


@pytest.mark.parametrize("jacobian", cases("strong"))
@pytest.mark.parametrize("config", [MGDA(), CRMOGM(of=MGDA())], ids=["mgda", "cr-mogm"])
def test_a_strongly_stationary_point_is_kept(config, jacobian):
    assert direction(config, jacobian).norm() < 1e-6 * jacobian.norm(dim=1).max()


@pytest.mark.parametrize("jacobian", cases("strong", "weak", "none"))
def test_directions_are_those_of_torchjd(jacobian):
    """Of the aggregators that have no state and no chance, on every matrix."""
    pairs = [
        (AlignedMTL(), peer.AlignedMTL()),
        (AlignedMTL(scale=Singular.MEAN_SQUARE), peer.AlignedMTL(scale_mode="rmse")),
    ]
    if jacobian.any(dim=1).all():  # CAGrad is not defined with a gradient of zero
        pairs.append((CAGrad(c=0.5), peer.CAGrad(c=0.5, norm_eps=1e-12)))
    if torch.linalg.matrix_rank(jacobian) == len(jacobian):
        pairs.append((IMTLG(), peer.IMTLG()))
    for config, aggregator in pairs:
        expected, found = aggregator(jacobian), direction(config, jacobian)
        scale = jacobian.norm(dim=1).max()
        if expected.norm() < 1e-6 * scale:
            continue  # not defined: TorchJD returns zero
        assert torch.cosine_similarity(found, expected, dim=0) > 0.999, type(config).__name__
        assert found.norm().item() == pytest.approx(expected.norm().item(), rel=0.01)


@pytest.mark.parametrize("jacobian", cases("strong", "weak", "none"))
def test_pcgrad_and_gradvac_are_torchjds_for_two_gradients(jacobian):
    """With two gradients there is one order, and GradVac starts from targets of zero."""
    pair = jacobian[:2]
    expected = peer.PCGrad()(pair)
    for config in (PCGrad(), GradVac()):
        found = direction(config, pair)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7 * pair.norm().item())


@pytest.mark.parametrize("jacobian", cases("none"))
def test_scaling_the_rows_scales_the_bargain_inversely(jacobian):
    """Nash-MTL without bounds depends on the directions of the gradients only."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.rand(len(jacobian), 1, generator=generator, dtype=torch.float64) * 10 + 0.1
    torch.testing.assert_close(
        direction(FREE, rows * jacobian), direction(FREE, jacobian), rtol=1e-4, atol=1e-5
    )
