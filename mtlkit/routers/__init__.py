"""Routers: the part of the network that each task and each sample uses."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
