"""Transforms: random changes of training samples and fixed changes of all, inputs and labels."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
