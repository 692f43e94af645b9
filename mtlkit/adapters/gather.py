"""The features of one token of each sequence."""

import attrs
import torch
from torch import Tensor

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.component import one_of
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.tokens import TokenFeatures, token_mask
from mtlkit.features.vectors import VectorFeatures


@attrs.frozen(kw_only=True)
class Gather(Adapter):
    """Gather the features of the first or the last token of each sequence that is not padding."""

    reads = (TokenFeatures,)
    gives = VectorFeatures

    token: str = attrs.field(default="first", validator=one_of("first", "last"))

    def build(self, features: FeatureSpec) -> "AdapterModule":
        return GatherModule(self, features)


class GatherModule(AdapterModule):
    """Maps tokens (N, L, D) to vectors (N, D).

    >>> module = GatherModule(Gather(token="last"), TokenFeatures(width=1))
    >>> module(torch.tensor([[[1.0], [2.0], [3.0]]]), {"mask": torch.tensor([[True, True, False]])})
    tensor([[2.]])
    """

    def __init__(self, config: Gather, features: FeatureSpec) -> None:
        super().__init__()
        self.last = config.token == "last"
        self.features = VectorFeatures(width=features.width)

    def forward(self, features: Tensor, context: Context) -> Tensor:
        mask = token_mask(features, context)
        number = torch.arange(mask.shape[1], device=mask.device)
        # argmax returns the first of equal values, also for a sequence of padding
        index = ((number + 1) * mask if self.last else mask.int()).argmax(dim=1)
        return features[torch.arange(len(features), device=mask.device), index]
