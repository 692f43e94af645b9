"""Heads, which compute a prediction and a loss for each task."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
