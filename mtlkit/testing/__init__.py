"""The conformance kit: checks that a plugin's components keep what their families promise.

A plugin's whole test of it, run by pytest:

>>> from mtlkit import testing
>>> test_conformance = testing.conformance("acme")  # doctest: +SKIP

It needs ``pip install 'mtlkit[testing]'``.
"""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
