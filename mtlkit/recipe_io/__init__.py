"""Recipes as YAML: read with every mistake reported at once, and written with nothing left open."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
