"""The statistics of a comparison: estimates, paired tests, verdicts."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
