"""Head ops: one written definition each, and several implementations measured against it.

>>> import torch
>>> from mtlkit import ops
>>> x, weight, target = torch.zeros(2, 3), torch.ones(4, 3), torch.tensor([1, 2])
>>> ops.linear_cross_entropy(x, weight, target)
tensor(1.3863)
"""

from mtlkit.namespace import attach

__getattr__, __dir__, __all__ = attach(__name__, __file__)
