"""Loss weightings: how the losses of several tasks become one update."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
