"""The kinds of features that layers can be applied to position by position."""

from mtlkit.features.base import FeatureSpec
from mtlkit.features.maps import MapFeatures
from mtlkit.features.nodes import NodeFeatures
from mtlkit.features.tokens import TokenFeatures
from mtlkit.features.vectors import VectorFeatures

POSITIONWISE: tuple[type[FeatureSpec], ...] = (
    VectorFeatures,
    MapFeatures,
    TokenFeatures,
    NodeFeatures,
)
"""Kinds whose `rows` have one width. A linear layer of the rows of a map is a 1x1 convolution."""
