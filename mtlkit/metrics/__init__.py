"""Metrics: how well the outputs of a task agree with its targets, accumulated over batches."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
