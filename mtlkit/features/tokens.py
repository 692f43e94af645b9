"""A sequence of vectors for each sample."""

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.features.base import Context, FeatureSpec

MASK = "mask"
"""Name of the mask (N, L) of the tokens that are not padding, in the context of tokens."""


@attrs.frozen(kw_only=True)
class TokenFeatures(FeatureSpec):
    """A vector for each token of a sequence: features (N, L, `width`).

    The context may hold a boolean `mask` (N, L), which is False for padding. Without one, every
    token counts.
    """

    kind = "tokens"
    shape = "(N, L, D)"
    dims = 3

    width: int = attrs.field(validator=at_least(1))

    def pool(self, features: Tensor, context: Context) -> Tensor:
        mask = token_mask(features, context).unsqueeze(-1)
        present = torch.where(mask, features, 0.0)
        return present.sum(dim=1) / mask.sum(dim=1).clamp(min=1)

    def max_pool(self, features: Tensor, context: Context) -> Tensor:
        mask = token_mask(features, context).unsqueeze(-1)
        highest = features.masked_fill(~mask, -torch.inf).amax(dim=1)
        return torch.where(mask.any(dim=1), highest, 0.0)


def token_mask(features: Tensor, context: Context) -> Tensor:
    """Return the mask (N, L) of the tokens of `features` (N, L, D) that are not padding."""
    mask = context.get(MASK)
    return features.new_ones(features.shape[:2], dtype=torch.bool) if mask is None else mask
