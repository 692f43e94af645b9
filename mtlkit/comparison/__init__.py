"""Comparisons: many runs of several weightings on several problems, and what they show."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
