"""The public API of plugin authors: components, validators, errors, hooks and shared types."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
