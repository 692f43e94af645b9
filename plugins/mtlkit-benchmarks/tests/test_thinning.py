"""Thinning of binary maps."""

import pytest
import torch
from mtlkit_benchmarks.thinning import thinned

SHAPES = {
    "bar": ("........", ".######.", ".######.", ".######.", "........"),
    "ring": (".####.", "##..##", "##..##", ".####."),
    "corner": ("##......", "##......", "########", "########"),
}
# what `skimage.morphology.thin` of scikit-image 0.26 returns
EXPECTED = {
    "bar": ("........", "........", "..####..", "........", "........"),
    "ring": (".###..", "#...#.", "#...#.", ".###.."),
    "corner": ("........", "#.......", ".#......", "..#####."),
}


def read(rows):
    return torch.tensor([[letter == "#" for letter in row] for row in rows]).unsqueeze(0)


@pytest.mark.parametrize("name", SHAPES)
def test_lines_are_those_of_scikit_image(name):
    assert torch.equal(thinned(read(SHAPES[name])), read(EXPECTED[name]))


def test_maps_are_thinned_alone():
    maps = torch.rand(5, 20, 20, generator=torch.Generator().manual_seed(0)) > 0.3
    for one, thin in zip(maps, thinned(maps), strict=True):
        assert torch.equal(thinned(one.unsqueeze(0))[0], thin)
        assert not (thin & ~one).any()
    assert torch.equal(thinned(thinned(maps)), thinned(maps))
