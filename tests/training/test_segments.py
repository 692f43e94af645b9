"""The Gramian by segments is that of the whole Jacobian, and no Jacobian is ever held."""

import pytest
import timm
import torch
from torch import nn

from mtlkit.training.gradients.gramian import COLUMNS, gramian_of
from mtlkit.training.gradients.segment_gramian import PARTS, segment_gramian, segments_of

TASKS = 3


class Tied(nn.Module):
    """Two layers with one weight: the graph narrows between them, the parameter lies in both."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.between = nn.Linear(6, 6)

    def forward(self, inputs):
        return self.first(self.between(self.first(inputs).relu()).relu())


class Leaping(nn.Module):
    """The first layer is used again at the end: nowhere in between does the graph narrow."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

    def forward(self, inputs):
        first = self.layers[0](inputs).relu()
        return self.layers[3](self.layers[2](self.layers[1](first).relu()).relu()) + first


def perceptron():
    return nn.Sequential(*[m for _ in range(6) for m in (nn.Linear(8, 8), nn.ReLU())])


NETWORKS = {
    "perceptron": (perceptron, (5, 8)),
    "tied": (Tied, (5, 6)),
    "leaping": (Leaping, (5, 6)),
    "resnet": (lambda: timm.create_model("test_resnet", num_classes=0), (2, 3, 32, 32)),
    "vit": (lambda: timm.create_model("test_vit", num_classes=0, img_size=32), (2, 3, 32, 32)),
    "convnext": (lambda: timm.create_model("test_convnext", num_classes=0), (2, 3, 32, 32)),
}


@pytest.fixture(params=sorted(NETWORKS))
def made(request):
    """A network in float64, its features, and a gradient at them for each task."""
    make, shape = NETWORKS[request.param]
    network = make().double().eval()
    features = network(torch.randn(shape, dtype=torch.float64))
    return network, features, [torch.randn_like(features) for _ in range(TASKS)]


def jacobian_of(features, rows, parameters):
    found = []
    for row in rows:
        parts = torch.autograd.grad(
            features, parameters, row, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


def test_the_gramian_is_that_of_the_whole_jacobian(made):
    network, features, rows = made
    parameters = [p for p in network.parameters() if p.requires_grad]
    segments = segments_of([features], parameters)
    found = segment_gramian(segments, [[row] for row in rows], lambda jacobian: jacobian)
    jacobian = jacobian_of(features, rows, parameters)
    torch.testing.assert_close(found, jacobian @ jacobian.T, rtol=1e-5, atol=1e-7)


def test_every_parameter_lies_in_one_segment(made):
    network, features, _ = made
    parameters = list(network.parameters())
    segments = segments_of([features], parameters)
    inside = [id(p) for segment in segments for p in segment.parameters]
    assert len(inside) == len(set(inside))
    reached = torch.autograd.grad(features.sum(), parameters, retain_graph=True, allow_unused=True)
    assert set(inside) == {id(p) for p, g in zip(parameters, reached, strict=True) if g is not None}


def test_frozen_parameters_are_passed_by():
    network = perceptron().double()
    network[4].weight.requires_grad_(False)
    features = network(torch.randn(5, 8, dtype=torch.float64))
    rows = [torch.randn_like(features) for _ in range(TASKS)]
    parameters = [p for p in network.parameters() if p.requires_grad]
    found = segment_gramian(segments_of([features], parameters), [[r] for r in rows], lambda j: j)
    jacobian = jacobian_of(features, rows, parameters)
    torch.testing.assert_close(found, jacobian @ jacobian.T, rtol=1e-5, atol=1e-7)


def test_several_ends_are_one_start():
    first, second = nn.Linear(4, 4).double(), nn.Linear(4, 3).double()
    maps = first(torch.randn(5, 4, dtype=torch.float64)).relu()
    features = second(maps)
    rows = [[torch.randn_like(features), torch.randn_like(maps)] for _ in range(TASKS)]
    parameters = [*first.parameters(), *second.parameters()]
    found = segment_gramian(segments_of([features, maps], parameters), rows, lambda j: j)
    jacobian = torch.stack(
        [
            torch.cat(
                [
                    part.flatten()
                    for part in torch.autograd.grad(
                        [features, maps], parameters, row, retain_graph=True
                    )
                ]
            )
            for row in rows
        ]
    )
    torch.testing.assert_close(found, jacobian @ jacobian.T, rtol=1e-5, atol=1e-7)


def test_a_deep_network_is_cut_into_parts_and_a_leaping_one_is_not():
    deep = nn.Sequential(*[m for _ in range(40) for m in (nn.Linear(16, 16), nn.Tanh())])
    features = deep(torch.randn(2, 16))
    parameters = list(deep.parameters())
    sizes = [
        sum(p.numel() for p in segment.parameters)
        for segment in segments_of([features], parameters)
    ]
    total = sum(p.numel() for p in parameters)
    assert sum(sizes) == total
    assert PARTS / 2 <= len(sizes) <= PARTS
    assert max(sizes) <= 2 * total / PARTS
    leaping = Leaping()
    inner = segments_of([leaping(torch.randn(2, 6))], list(leaping.parameters()))
    assert len(inner) == 2  # behind the addition lies everything but what comes before the leap


def test_what_is_reduced_over_ranks_is_the_jacobian_and_not_the_gramian():
    network = perceptron().double()
    features = network(torch.randn(5, 8, dtype=torch.float64))
    rows = [torch.randn_like(features) for _ in range(TASKS)]
    segments = segments_of([features], list(network.parameters()))
    alone = segment_gramian(segments, [[row] for row in rows], lambda jacobian: jacobian)
    doubled = segment_gramian(segments, [[row] for row in rows], lambda jacobian: 2 * jacobian)
    torch.testing.assert_close(doubled, 4 * alone)


@pytest.mark.parametrize("columns", [0, 3, COLUMNS, COLUMNS + 7])
def test_products_by_blocks_are_the_product(columns):
    one, other = torch.randn(2, 4, columns)
    torch.testing.assert_close(gramian_of(one), one.double() @ one.double().T)
    wanted = one.double() @ other.double().T
    torch.testing.assert_close(gramian_of(one, other), wanted)


def test_over_millions_of_columns_no_digits_are_lost():
    jacobian = torch.randn(2, 4_000_000) + 0.1
    exact = jacobian.double() @ jacobian.double().T
    assert ((gramian_of(jacobian) - exact) / exact).abs().max() < 1e-12
