"""Backbones: from inputs to the features that tasks share."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
