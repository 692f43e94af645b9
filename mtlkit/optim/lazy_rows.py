"""Updates of the rows of a parameter that have a gradient; all others rest.

Weight decay and the decay of moments apply to a row only when it has a gradient, as in TFace's
Partial FC and in `torch.optim.SparseAdam`. It is another method than dense updates, in which
momentum and decay move every row.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

RowRule = Callable[[Tensor, Tensor, Tensor, dict[str, Any], dict[str, Any]], None]
"""An update of the rows `index` (S,) of a parameter (C, D), from their gradient (S, D).

The others are the parameter's state and the options of its group. The gradient may be changed."""

TILE = 2**18
"""Number of elements that a CPU updates at a time: temporary tensors of 1 MB stay in a cache."""


@torch.no_grad()
def update_rows(optimizer: torch.optim.Optimizer, rule: RowRule) -> None:
    """Update the parameters of `optimizer` with a sparse gradient by `rule`, and clear these.

    >>> weight = torch.nn.Parameter(torch.ones(3, 1))
    >>> torch.nn.functional.embedding(torch.tensor([1]), weight, sparse=True).sum().backward()
    >>> update_rows(torch.optim.SGD([weight], lr=0.5, weight_decay=1.0), sgd_rows)
    >>> weight.flatten().tolist(), weight.grad
    ([1.0, 0.0, 1.0], None)
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and parameter.grad.is_sparse:
                gradient = parameter.grad.coalesce()
                on_cpu = parameter.device.type == "cpu"
                size = max(1, TILE // parameter.shape[1]) if on_cpu else len(parameter)
                tiles = zip(
                    gradient.indices()[0].split(size), gradient.values().split(size), strict=True
                )
                for index, values in tiles:
                    rule(parameter, index, values, optimizer.state[parameter], group)
                parameter.grad = None


def sgd_rows(
    parameter: Tensor, index: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Apply SGD with momentum to some rows."""
    rows = parameter.index_select(0, index)
    step = gradient
    if group["weight_decay"]:
        step = step.add_(rows, alpha=group["weight_decay"])
    if group["momentum"]:
        momentum = _moved(state, "momentum_buffer", parameter, index, group["momentum"], step)
        step = step.add(momentum, alpha=group["momentum"]) if group["nesterov"] else momentum
    parameter.index_copy_(0, index, rows.add_(step, alpha=-group["lr"]))


def adam_rows(
    parameter: Tensor, index: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> None:
    """Apply Adam, or AdamW, to some rows; each row has its own number of steps."""
    beta1, beta2 = group["betas"]
    rows = parameter.index_select(0, index)
    if group["decoupled_weight_decay"]:
        rows.mul_(1 - group["lr"] * group["weight_decay"])
    elif group["weight_decay"]:
        gradient = gradient.add_(rows, alpha=group["weight_decay"])
    state.setdefault("step", torch.tensor(0.0))  # torch's Adam expects it in a state that it loads
    counts = state.setdefault("row_steps", parameter.new_zeros(len(parameter)))
    steps = counts[index].add_(1).unsqueeze(1)
    counts.index_copy_(0, index, steps.squeeze(1))
    first = _moved(state, "exp_avg", parameter, index, beta1, gradient * (1 - beta1))
    second = _moved(state, "exp_avg_sq", parameter, index, beta2, gradient.square() * (1 - beta2))
    size = (second / (1 - beta2**steps)).sqrt_().add_(group["eps"])
    rows.addcdiv_(first / (1 - beta1**steps), size, value=-group["lr"])
    parameter.index_copy_(0, index, rows)


def _moved(
    state: dict[str, Any], name: str, like: Tensor, index: Tensor, decay: float, new: Tensor
) -> Tensor:
    """Update some rows of a moment to `decay` times themselves plus `new`, and return them."""
    moment: Tensor | None = state.get(name)
    if moment is None:
        moment = state[name] = torch.zeros_like(like)
    rows = moment.index_select(0, index).mul_(decay).add_(new)
    moment.index_copy_(0, index, rows)
    return rows
