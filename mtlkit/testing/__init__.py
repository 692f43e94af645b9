"""The conformance kit: tests that a plugin's components meet the requirements of their families.

The complete test module of a plugin:

>>> from mtlkit import testing
>>> test_conformance = testing.conformance("acme")  # doctest: +SKIP

Requires ``pip install 'mtlkit[testing]'``.
"""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
