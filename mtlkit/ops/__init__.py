"""Head ops: one written definition each, and several implementations measured against it.

>>> import torch
>>> from mtlkit import ops
>>> x, weight, target = torch.zeros(2, 3), torch.ones(4, 3), torch.tensor([1, 2])
>>> ops.linear_cross_entropy(x, weight, target)
tensor(1.3863)

Every name below is imported on first use: the names of implementations are needed without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlkit.ops.choice import explain, use
    from mtlkit.ops.gating import gate
    from mtlkit.ops.linear import linear_cross_entropy
    from mtlkit.ops.multi_head import HeadLosses, multi_head_cross_entropy

_HOME_OF = {
    "explain": "mtlkit.ops.choice",
    "use": "mtlkit.ops.choice",
    "gate": "mtlkit.ops.gating",
    "HeadLosses": "mtlkit.ops.multi_head",
    "linear_cross_entropy": "mtlkit.ops.linear",
    "multi_head_cross_entropy": "mtlkit.ops.multi_head",
}

__all__ = [
    "HeadLosses",
    "explain",
    "gate",
    "linear_cross_entropy",
    "multi_head_cross_entropy",
    "use",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
