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
    from mtlkit.ops.dispatch.choice import explain, use
    from mtlkit.ops.gating import gate
    from mtlkit.ops.grouped import grouped_linear_cross_entropy
    from mtlkit.ops.linear import linear_cross_entropy
    from mtlkit.ops.margin import adaface_margins, margin_cross_entropy
    from mtlkit.ops.matching import Best, best_matches, match_scores, match_template
    from mtlkit.ops.multi_head import HeadLosses, multi_head_cross_entropy
    from mtlkit.ops.sampled import SampledLoss, sampled_margin_cross_entropy

_HOMES = {
    "mtlkit.ops.dispatch.choice": (
        "explain",
        "use",
    ),
    "mtlkit.ops.gating": ("gate",),
    "mtlkit.ops.grouped": ("grouped_linear_cross_entropy",),
    "mtlkit.ops.linear": ("linear_cross_entropy",),
    "mtlkit.ops.margin": (
        "adaface_margins",
        "margin_cross_entropy",
    ),
    "mtlkit.ops.matching": (
        "Best",
        "best_matches",
        "match_scores",
        "match_template",
    ),
    "mtlkit.ops.multi_head": (
        "HeadLosses",
        "multi_head_cross_entropy",
    ),
    "mtlkit.ops.sampled": (
        "SampledLoss",
        "sampled_margin_cross_entropy",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Best",
    "HeadLosses",
    "SampledLoss",
    "adaface_margins",
    "best_matches",
    "explain",
    "gate",
    "grouped_linear_cross_entropy",
    "linear_cross_entropy",
    "margin_cross_entropy",
    "match_scores",
    "match_template",
    "multi_head_cross_entropy",
    "sampled_margin_cross_entropy",
    "use",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
