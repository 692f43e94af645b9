"""Templates against the paper's eq. 12, written out as it stands there."""

import attrs
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mtlkit_face.identification.template import branch_template, pixel_template, template
from scipy.spatial.distance import cosine

from mtlkit.routers import BranchOutputs

sizes = st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(2, 9), st.integers(0, 10_000))


def said(samples: int, groups: int, classes: int, seed: int) -> tuple[torch.Tensor, BranchOutputs]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(samples, classes, generator=random, dtype=torch.float64)
    branches = torch.randn(samples, groups, classes, generator=random, dtype=torch.float64)
    probability = torch.randn(samples, groups, generator=random, dtype=torch.float64).softmax(1)
    names = tuple(f"group {g}" for g in range(groups))
    return logits, BranchOutputs(names, branches, probability, probability)


def h(a: torch.Tensor, b: torch.Tensor) -> float:
    return 1 - cosine(a.numpy(), b.numpy())


def eq12(logits: torch.Tensor, branches: BranchOutputs, one: int, two: int) -> float:
    """The literal double sum over the branches of both images."""
    p1, p2 = branches.probability[one], branches.probability[two]
    y1, y2 = branches.logits[one], branches.logits[two]
    groups = range(len(branches.groups))
    double = sum(h(y1[i], y2[j]) * float(p1[i] * p2[j]) for i in groups for j in groups)
    return h(logits[one], logits[two]) / 2 + double / 2


@given(sizes)
@settings(max_examples=60)
def test_the_dot_product_of_templates_is_eq_12(size):
    logits, branches = said(*size)
    scores = template(logits, branches) @ template(logits, branches).T
    for one in range(size[0]):
        for two in range(size[0]):
            assert scores[one, two].item() == pytest.approx(eq12(logits, branches, one, two))


@given(sizes)
@settings(max_examples=40)
def test_best_routing_is_the_papers_formula(size):
    logits, branches = said(*size)
    best = branches.probability.argmax(dim=1)
    weights = F.one_hot(best, len(branches.groups)).double()
    found = template(logits, attrs.evolve(branches, weights=weights))
    own = branches.logits[torch.arange(size[0]), best]
    expected = h(logits[0], logits[1]) / 2 + h(own[0], own[1]) / 2
    assert (found[0] @ found[1]).item() == pytest.approx(expected)


@given(sizes)
@settings(max_examples=30)
def test_scores_are_symmetric_lie_in_one_interval_and_ignore_the_logits_scale(size):
    logits, branches = said(*size)
    found = template(logits, branches)
    scores = found @ found.T
    assert torch.allclose(scores, scores.T)
    assert scores.abs().max() <= 1 + 1e-12
    louder = attrs.evolve(branches, logits=branches.logits * 7)
    assert torch.allclose(template(logits * 3, louder), found)


@given(sizes)
@settings(max_examples=30)
def test_the_template_is_the_mean_of_its_two_parts_scores(size):
    logits, branches = said(*size)
    both = template(logits, branches)
    alone, part = template(logits), branch_template(branches)
    assert torch.allclose(both @ both.T, (alone @ alone.T + part @ part.T) / 2)


def test_one_branch_equal_to_the_generic_one_changes_no_score():
    logits, _ = said(4, 1, 6, 0)
    one = torch.ones(4, 1, dtype=torch.float64)
    copies = BranchOutputs(("all",), logits.unsqueeze(1), one, one)
    alone, both = template(logits), template(logits, copies)
    assert torch.allclose(both @ both.T, alone @ alone.T)


def test_pixels_are_matched_by_their_correlation():
    images = torch.randint(0, 256, (5, 1, 6, 6), dtype=torch.uint8)
    found = pixel_template(images)
    expected = np.corrcoef(images.flatten(1).numpy())
    np.testing.assert_allclose((found @ found.T).numpy(), expected, atol=1e-5)


def test_pixel_matching_ignores_exposure_and_survives_an_empty_picture():
    images = torch.randint(0, 100, (2, 1, 6, 6), dtype=torch.uint8)
    one, two = pixel_template(torch.stack([images[0], images[0] * 2 + 20]))
    assert torch.allclose(one, two, atol=1e-6)
    assert pixel_template(torch.zeros(1, 1, 6, 6, dtype=torch.uint8)).abs().sum() == 0
