"""Runs: a folder on disk with a trained, evaluated model."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
