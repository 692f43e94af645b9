"""The engines that are timed next to ours follow the papers: their directions equal ours."""

import sys
from pathlib import Path

import pytest
import torch

from mtlkit.task import Task, loss_terms
from mtlkit.weightings import (
    IMTLG,
    MGDA,
    AlignedMTL,
    CAGrad,
    FairGrad,
    NashMTL,
    UpdateStats,
)


@pytest.fixture
def engines(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    sys.modules.pop("task_by_task", None)
    import task_by_task

    return task_by_task


CASES = {
    "mgda": (MGDA(), 1.0),
    "cagrad": (CAGrad(c=0.5), 1.0),
    "imtl_g": (IMTLG(), 1.0),
    "nash": (NashMTL(largest_mean=None), 1.0),
    "aligned": (AlignedMTL(), 4.0),  # ours is a mean
}


@pytest.mark.parametrize("name", CASES)
def test_a_direction_is_that_of_the_weighting(name, engines):
    weighting, factor = CASES[name]
    terms = loss_terms({f"t{number}": Task() for number in range(4)})
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        jacobian = torch.randn(4, 30, generator=generator) + 0.2
        double = jacobian.double()
        stats = UpdateStats(torch.ones(4), torch.arange(4))
        weights = weighting.build(terms, 1)(double @ double.T, stats)
        expected = (factor * weights @ double).float()
        result = getattr(engines, name)(jacobian)
        torch.testing.assert_close(result, expected, rtol=5e-3, atol=5e-3)


def test_fairgrad_is_nash_with_another_exponent(engines):
    jacobian = torch.randn(4, 30, generator=torch.Generator().manual_seed(0)).double()
    weighting = FairGrad(alpha=2.0, largest_mean=None).build(
        loss_terms({f"t{number}": Task() for number in range(4)}), 1
    )
    stats = UpdateStats(torch.ones(4), torch.arange(4))
    expected = weighting(jacobian @ jacobian.T, stats) @ jacobian
    result = engines.nash(jacobian, alpha=2.0)
    assert torch.cosine_similarity(result, expected, dim=0) > 0.9999


def test_an_engine_writes_every_gradient(engines):
    """The plain sum task by task is the plain sum, with the heads' own gradients."""
    torch.manual_seed(0)
    backbone = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU())
    heads = [torch.nn.Linear(8, 1) for _ in range(4)]
    x = torch.randn(16, 6)

    def losses(features):
        return [head(features).square().mean() for head in heads]

    parameters = [p for module in (backbone, *heads) for p in module.parameters()]
    features = backbone(x)
    expected = torch.autograd.grad(sum(losses(features)), parameters)
    features = backbone(x)
    engine = engines.ENGINES["task by task (LibMTL's way), sum"]
    of_heads = [list(head.parameters()) for head in heads]
    engine(losses(features), features, list(backbone.parameters()), of_heads, backbone)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_db_mtl_has_equal_lengths_and_gls_is_the_root_of_the_product(engines):
    jacobian = torch.diag(torch.tensor([1.0, 4.0, 0.5]))
    assert engines.db_mtl(jacobian).tolist() == [4.0, 4.0, 4.0]
    losses = [torch.tensor(2.0), torch.tensor(8.0)]
    assert engines.geometric_mean(losses).item() == pytest.approx(4.0)


def test_pcgrad_removes_conflicts(engines):
    jacobian = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    # each is projected on the normal of the other: (1/2, 1/2) and (0, 1)
    torch.testing.assert_close(engines.pcgrad(jacobian), torch.tensor([0.5, 1.5]))
