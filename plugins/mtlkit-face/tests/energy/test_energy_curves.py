"""Rank-1 by dimensions: the ends are known, and side dimensions do what the paper says."""

import pytest
import torch
from mtlkit_face.energy.curves import curves, dimension_counts, largest_fall, rank1
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import match

SUBJECTS, EACH, IDENTITY, SIDE = 30, 4, 16, 16


@pytest.fixture
def faces():
    """Features of which the first half says who it is, and the second is pose, larger by far."""
    random = torch.Generator().manual_seed(1)
    who = torch.randn(SUBJECTS, IDENTITY, generator=random)
    owners = torch.arange(SUBJECTS).repeat_interleave(EACH)
    noise = torch.randn(len(owners), IDENTITY, generator=random)
    pose = 20 * torch.randn(len(owners), SIDE, generator=random)
    return torch.cat([who[owners] + 0.3 * noise, pose], dim=1), owners


@pytest.fixture
def trial(faces):
    _, owners = faces
    gallery = torch.arange(0, len(owners), EACH)
    probes = torch.tensor([i for i in range(len(owners)) if i % EACH])
    names = tuple(map(str, range(SUBJECTS)))
    return GalleryTrial(gallery=gallery, probes=probes, mates=owners[probes], subjects=names)


def test_rank_1_is_that_of_identification(faces, trial):
    templates = torch.nn.functional.normalize(faces[0], dim=1)
    found = match([templates[trial.probes]], templates[trial.gallery], trial.mates)
    assert rank1(faces[0], trial) == pytest.approx(found.rank1())
    assert rank1(torch.ones(len(faces[0]), 3), trial) == 0.0  # a tie counts as a miss


def test_x_rises_and_falls_where_side_dimensions_enter_and_y_does_not(faces, trial):
    x, _ = faces
    weight = torch.randn(40, IDENTITY + SIDE, generator=torch.Generator().manual_seed(2))
    weight[:, IDENTITY:] *= 1e-4  # identity's head ignores what pose is in
    order = torch.arange(IDENTITY + SIDE)
    found = curves(x, weight, torch.zeros(40), order, trial, dimension_counts(32, 8))
    assert found.counts == (4, 8, 12, 16, 20, 24, 28, 32)
    assert found.x[found.best] > 0.9
    assert found.counts[found.best] <= IDENTITY
    assert found.x[-1] < 0.5
    assert found.y[-1] == pytest.approx(found.y[3])
    assert largest_fall(found.x) > 0.4
    assert largest_fall(found.y) < 0.05


def test_the_ends_of_the_curves_are_x_and_y(faces, trial):
    x, _ = faces
    weight, bias, order = torch.randn(9, 32), torch.randn(9), torch.randperm(32)
    found = curves(x, weight, bias, order, trial, (1, 32))
    assert found.x[-1] == pytest.approx(rank1(x, trial))
    assert found.shuffled[-1] == pytest.approx(found.x[-1])
    assert found.y[-1] == pytest.approx(rank1(x @ weight.T + bias, trial))
    assert found.x[0] == pytest.approx(rank1(x[:, order[:1]], trial))
