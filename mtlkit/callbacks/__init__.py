"""Callbacks and loggers: what acts on training between updates, and what writes its events."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
