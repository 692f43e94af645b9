"""Routers, which select the part of the network for each task and each sample."""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
