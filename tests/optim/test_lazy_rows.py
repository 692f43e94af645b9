"""Updates of single rows equal torch's if every row has a gradient, and leave the others alone."""

import pytest
import torch
import torch.nn.functional as F

from mtlkit.optim import SGD, Adam, AdamW
from mtlkit.optim.lazy_rows import update_rows

OPTIMIZERS = {
    "sgd": SGD(lr=0.1, momentum=0.9, weight_decay=0.1),
    "plain": SGD(lr=0.1, momentum=0.0),
    "nesterov": SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": Adam(lr=0.1, weight_decay=0.1),
    "adamw": AdamW(lr=0.1, weight_decay=0.1),
}


def trained(options, weight, indices, sparse):
    parameter = torch.nn.Parameter(weight.clone())
    groups = [{"params": [parameter], "lr": options.lr, "weight_decay": options.weight_decay}]
    optimizer = options.build(groups)
    for step, index in enumerate(indices):
        optimizer.zero_grad()
        factor = torch.linspace(1, 2, weight.shape[1], dtype=weight.dtype) * (step + 1)
        (F.embedding(index, parameter, sparse=sparse).square() * factor).sum().backward()
        if sparse:
            update_rows(optimizer, options.row_rule())
        optimizer.step()
    return parameter.detach(), optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_of_all_rows_is_the_dense_update(name):
    options = OPTIMIZERS[name]
    weight = torch.randn(6, 4, dtype=torch.float64)
    every = [torch.arange(6), torch.tensor([5, 4, 3, 2, 1, 0, 0])] * 3
    lazy, _ = trained(options, weight, every, sparse=True)
    dense, _ = trained(options, weight, every, sparse=False)
    torch.testing.assert_close(lazy, dense, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_row_is_trained_as_if_it_were_alone(name):
    """A row that rests keeps its bits; its later updates are those of the dense optimizer."""
    options = OPTIMIZERS[name]
    weight = torch.randn(3, 4, dtype=torch.float64)
    lazy, optimizer = trained(options, weight, [torch.tensor([i]) for i in (0, 1, 0, 0)], True)
    assert lazy[2].equal(weight[2])
    for state in optimizer.state.values():
        rows = [value for value in state.values() if value.dim()]
        assert all((value[2] == 0).all() for value in rows)
    if name == "sgd":
        first, second = weight[0:1], torch.nn.Parameter(weight[0:1].clone())
        dense = options.build([{"params": [second], "lr": 0.1, "weight_decay": 0.1}])
        for step in (1, 3, 4):
            second.grad = 2 * second.detach() * torch.linspace(1, 2, 4, dtype=torch.float64) * step
            dense.step()
        assert not first.equal(second)
        torch.testing.assert_close(lazy[0:1], second.detach(), rtol=1e-12, atol=1e-12)


def test_the_state_survives_a_checkpoint():
    options = OPTIMIZERS["adamw"]
    weight = torch.randn(3, 4)
    _, optimizer = trained(options, weight, [torch.tensor([1])], sparse=True)
    parameter = torch.nn.Parameter(weight)
    again = options.build([{"params": [parameter], "lr": 0.1, "weight_decay": 0.1}])
    again.load_state_dict(optimizer.state_dict())
    assert again.state[parameter]["row_steps"].tolist() == [0, 1, 0]
