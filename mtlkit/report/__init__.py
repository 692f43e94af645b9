"""Reports: blocks of text, tables and charts, and the page drawn from them."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
