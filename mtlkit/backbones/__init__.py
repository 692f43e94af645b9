"""Backbones and adapters: from inputs to the features that tasks share, and to those of a task."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
