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

The others are the parameter's state and the options of its group."""


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
                index = gradient.indices()[0]
                rule(parameter, index, gradient.values(), optimizer.state[parameter], group)
                parameter.grad = None


def sgd_rows(
    parameter: Tensor,
    index: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
) -> None:
    """Apply SGD with momentum to some rows."""
    step = gradient
    if group["weight_decay"]:
        step = step.add(parameter[index], alpha=group["weight_decay"])
    if group["momentum"]:
        momentum = _moved(state, "momentum_buffer", parameter, index, group["momentum"], step)
        step = step.add(momentum, alpha=group["momentum"]) if group["nesterov"] else momentum
    parameter.index_add_(0, index, step, alpha=-group["lr"])


def adam_rows(
    parameter: Tensor,
    index: Tensor,
    gradient: Tensor,
    state: dict[str, Any],
    group: dict[str, Any],
) -> None:
    """Apply Adam, or AdamW, to some rows; each row has its own number of steps."""
    beta1, beta2 = group["betas"]
    rows = parameter[index]
    if group["decoupled_weight_decay"]:
        rows.mul_(1 - group["lr"] * group["weight_decay"])
    elif group["weight_decay"]:
        gradient = gradient.add(rows, alpha=group["weight_decay"])
    counts = state.setdefault("row_steps", parameter.new_zeros(len(parameter)))
    steps = counts[index].add_(1).unsqueeze(1)
    counts[index] = steps.squeeze(1)
    first = _moved(state, "exp_avg", parameter, index, beta1, gradient * (1 - beta1))
    second = _moved(state, "exp_avg_sq", parameter, index, beta2, gradient.square() * (1 - beta2))
    size = (second / (1 - beta2**steps)).sqrt_().add_(group["eps"])
    parameter[index] = rows.addcdiv_(first / (1 - beta1**steps), size, value=-group["lr"])


def _moved(
    state: dict[str, Any], name: str, like: Tensor, index: Tensor, decay: float, new: Tensor
) -> Tensor:
    """Update some rows of a moment to `decay` times themselves plus `new`, and return them."""
    if name not in state:
        state[name] = torch.zeros_like(like)
    rows: Tensor = state[name][index].mul_(decay).add_(new)
    state[name][index] = rows
    return rows
