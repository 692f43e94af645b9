"""Base classes of adapters, which change the kind of features for the head of one task."""

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
from torch import Tensor, nn

from mtlkit.component import Component
from mtlkit.features.base import Context, FeatureSpec


@attrs.frozen(kw_only=True)
class Adapter(Component):
    """Options of an adapter, between the router and the head of one task.

    `reads` are the kinds of features that it reads, and `gives` is the kind that it returns.
    """

    reads: ClassVar[tuple[type[FeatureSpec], ...]]
    gives: ClassVar[type[FeatureSpec]]

    @abstractmethod
    def build(self, features: FeatureSpec) -> "AdapterModule":
        """Return the module for `features`. Raises `AssemblyError` if they do not fit."""


class AdapterModule(nn.Module, ABC):
    """Maps features of one kind to features of another, described by `features`."""

    features: FeatureSpec

    @abstractmethod
    def forward(self, features: Tensor, context: Context) -> Tensor:
        """Return the features that the head reads; `context` describes `features`."""
