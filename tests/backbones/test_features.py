"""Feature specs describe one tensor: its rows, its pooled vectors, and what differs from them."""

import pytest
import torch

from mtlkit.backbones import (
    MapFeatures,
    NodeFeatures,
    PyramidFeatures,
    PyramidLevel,
    TokenFeatures,
    VectorFeatures,
)
from mtlkit.errors import AssemblyError

N, D = 3, 5
PYRAMID = PyramidFeatures(
    levels=(
        PyramidLevel(channels=2, stride=4, height=4, width=6),
        PyramidLevel(channels=3, stride=8, height=2, width=3),
    )
)
MASK = torch.tensor([[True, True, False, False], [True] * 4, [False] * 4])
GRAPH = {"graph": torch.tensor([0, 2, 2, 0, 2]), "sizes": torch.tensor([2, 0, 3])}
CASES = {
    "vectors": (VectorFeatures(width=D), (N, D), {}),
    "maps": (MapFeatures(channels=D, stride=4), (N, D, 4, 6), {}),
    "pyramids": (PYRAMID, (N, 2 * 24 + 3 * 6), {}),
    "tokens": (TokenFeatures(width=D), (N, 4, D), {"mask": MASK}),
    "nodes": (NodeFeatures(width=D), (5, D), GRAPH),
}


@pytest.fixture(params=CASES)
def case(request):
    spec, shape, context = CASES[request.param]
    return spec, torch.randn(shape, generator=torch.Generator().manual_seed(0)), context


def positions(spec, features, context):
    """The rows of the positions of each sample, by definition."""
    match spec:
        case VectorFeatures():
            return [row.unsqueeze(0) for row in features]
        case MapFeatures():
            return [sample.flatten(1).T for sample in features]
        case TokenFeatures():
            return [row[mask] for row, mask in zip(features, context["mask"], strict=True)]
        case NodeFeatures():
            return [features[context["graph"] == n] for n in range(N)]
    raise NotImplementedError


def test_pooling_is_the_mean_and_the_maximum_of_the_positions(case):
    spec, features, context = case
    if isinstance(spec, PyramidFeatures):
        parts = list(zip(spec.split(features), [x.maps for x in spec.levels], strict=True))
        mean = torch.cat([level.pool(maps, {}) for maps, level in parts], dim=1)
        highest = torch.cat([level.max_pool(maps, {}) for maps, level in parts], dim=1)
    else:
        rows = positions(spec, features, context)
        zero = torch.zeros(D)
        mean = torch.stack([r.mean(dim=0) if len(r) else zero for r in rows])
        highest = torch.stack([r.amax(dim=0) if len(r) else zero for r in rows])
    assert mean.shape == (N, spec.width)
    torch.testing.assert_close(spec.pool(features, context), mean)
    torch.testing.assert_close(spec.max_pool(features, context), highest)


def test_rows_are_a_view_with_an_inverse(case):
    spec, features, _ = case
    rows = spec.rows(features)
    assert rows.data_ptr() == features.data_ptr()
    assert torch.equal(spec.from_rows(rows), features)


def test_gradients_of_pooling_are_finite(case):
    spec, features, context = case
    for pool in (spec.pool, spec.max_pool):
        leaf = features.clone().requires_grad_()
        pool(leaf, context).sum().backward()
        assert leaf.grad.isfinite().all()


def test_features_of_the_spec_fit_and_others_are_described(case):
    spec, features, _ = case
    assert spec.mismatch(features, N) is None
    assert "expected" in spec.mismatch(features.unsqueeze(-1), N)
    if not isinstance(spec, PyramidFeatures):
        wider = spec.with_width(D + 1)
        assert wider.mismatch(features, N) == f"features have width {D}, expected {D + 1}"


def test_another_number_of_samples_is_described():
    spec, shape, _ = CASES["maps"]
    assert spec.mismatch(torch.zeros(shape), 4) == "features are those of 3 samples, expected 4"


def test_a_pyramid_joins_what_it_splits():
    flat = torch.randn(N, PYRAMID.size)
    assert torch.equal(PYRAMID.join(PYRAMID.split(flat)), flat)
    assert PYRAMID.with_width(7).size == 7 * (24 + 6)


def test_a_pyramid_refuses_images_of_another_size():
    maps = [torch.zeros(1, 2, 5, 6), torch.zeros(1, 3, 2, 3)]
    with pytest.raises(AssemblyError) as caught:
        PYRAMID.join(maps)
    assert str(caught.value) == (
        "backbone: got maps (2, 5, 6) at stride 4, expected (2, 4, 6); give images of the size of "
        "training"
    )
