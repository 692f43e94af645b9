"""How far a direction goes along each gradient: what is logged where there are no weights."""

import torch
from torch import Tensor


def along(jacobian: Tensor, direction: Tensor) -> Tensor:
    """d . g_k / |g_k|^2 (K,) for a direction d (P,) and gradients g_k, the rows of `jacobian`.

    It is how fast loss k falls along d, in units of how fast it falls along its own gradient; 0 for
    a gradient of zero. Of orthogonal gradients it is the weights whose combination d is.

    >>> along(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([1.0, 4.0])).tolist()
    [0.5, 1.0]
    """
    # norms in float64, and a unit direction: neither very short nor very long rows spoil it
    norms = torch.linalg.vector_norm(jacobian, dim=1, dtype=torch.float64)
    length = torch.linalg.vector_norm(direction, dtype=torch.float64)
    unit = direction / length.where(length > 0, 1.0)
    shares = (jacobian @ unit.to(jacobian)).double() * length
    found = torch.where(norms > 0, shares / norms.square(), torch.zeros_like(norms))
    return found.to(jacobian)
