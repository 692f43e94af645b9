"""Callbacks: what acts on training between updates, with its state in checkpoints."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
