"""Data: sources, splits, label columns, types of targets, and transforms."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
