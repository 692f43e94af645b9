"""Adapters, which change the kind of features between the router and the head of a task."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
