"""Templates give the scores of eq. 12, and the best of a gallery are its best."""

import pytest
import torch
import torch.nn.functional as F

from mtlkit.ops import best_matches, match_scores, match_template
from mtlkit.ops.dispatch.table import builtin_ops

IMPLEMENTATIONS = {name: tuple(op.implementations) for name, op in builtin_ops().items()}

GROUPS = 3


def images(count, dtype=torch.float64):
    torch.manual_seed(count)
    weights = torch.rand(count, GROUPS, dtype=torch.float64).softmax(dim=1)
    drawn = torch.randn(count, 7, dtype=torch.float64), torch.randn(count, GROUPS, 7).double()
    return drawn[0].to(dtype), drawn[1].to(dtype), weights.to(dtype)


@pytest.mark.parametrize("name", IMPLEMENTATIONS["match_template"])
def test_scores_are_those_of_the_paper(name):
    probes, gallery = images(4), images(5)
    found = match_scores(
        match_template(*probes, implementation=name), match_template(*gallery, implementation=name)
    )
    wanted = torch.zeros(4, 5, dtype=torch.float64)
    for one in range(4):
        for other in range(5):
            score = F.cosine_similarity(probes[0][one], gallery[0][other], dim=0) / 2
            for i in range(GROUPS):
                for j in range(GROUPS):
                    weight = probes[2][one, i] * gallery[2][other, j] / 2
                    score += weight * F.cosine_similarity(
                        probes[1][one, i], gallery[1][other, j], dim=0
                    )
            wanted[one, other] = score
    torch.testing.assert_close(found, wanted, atol=1e-14, rtol=0)


@pytest.mark.parametrize("name", IMPLEMENTATIONS["match_template"])
def test_a_template_is_no_unit_vector_and_a_dead_branch_no_nan(name):
    generic, branches, weights = images(6)
    branches[2] = 0
    found = match_template(generic, branches, weights, implementation=name)
    assert found.isfinite().all()
    assert (found.norm(dim=1) < 1 - 1e-3).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_ways_to_a_template_are_close_to_the_truth(dtype, no_worse_than_eager):
    low = images(40, dtype)
    truth = match_template(*(each.double() for each in low))
    eager, lengths = (
        match_template(*low, implementation=name) for name in IMPLEMENTATIONS["match_template"]
    )
    no_worse_than_eager(dtype, [lengths], [eager], [truth])


@pytest.mark.parametrize("most", [1, 3, 9000])
@pytest.mark.parametrize("name", IMPLEMENTATIONS["match_scores"])
def test_the_best_are_the_best(name, most):
    torch.manual_seed(0)
    probes = torch.randn(3, 4, dtype=torch.float64)
    gallery = torch.randn(9000, 4, dtype=torch.float64)  # more than two tiles
    found = best_matches(probes, gallery, most, implementation=name)
    scores = match_scores(probes, gallery)
    torch.testing.assert_close(found.scores, scores.sort(dim=1, descending=True).values[:, :most])
    assert torch.equal(scores.gather(1, found.places), found.scores)


def test_wrong_arguments():
    generic, branches, weights = images(4)
    with pytest.raises(ValueError, match=r"branches: expected the shape \(4, groups, 7\), got"):
        match_template(generic, branches[:3], weights)
    with pytest.raises(ValueError, match=r"weights: expected the shape \(4, 3\), got \(4, 2\)"):
        match_template(generic, branches, weights[:, :2])
    with pytest.raises(ValueError, match=r"probes: expected a matrix \(rows, 7\)"):
        match_scores(torch.zeros(3, 6), generic)
    with pytest.raises(ValueError, match="most: expected 1 to 4, the size of the gallery, got 5"):
        best_matches(generic, generic, 5)
