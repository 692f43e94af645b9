"""Recipes as YAML: reading, which reports all mistakes at once, and writing with all options."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
