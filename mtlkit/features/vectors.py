"""One vector for each sample."""

import attrs
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.features.base import Context, FeatureSpec


@attrs.frozen(kw_only=True)
class VectorFeatures(FeatureSpec):
    """One vector for each sample: features (N, `width`)."""

    kind = "vectors"
    shape = "(N, D)"
    dims = 2

    width: int = attrs.field(validator=at_least(1))

    def pool(self, features: Tensor, context: Context) -> Tensor:
        return features
