"""Fused linear cross-entropies of other packages, if they are installed.

A package is imported by the first call, so that a failed import is a failed way.
"""

import importlib.util

import torch
import torch.nn.functional as F

TORCH = "torch's own op"


def ways(x, weight, target, native):
    """Return functions that do a forward and backward pass of the mean loss, by name.

    torch's op with its default options is included if our implementation that calls it (`native`)
    refuses: below 32 bits, because its loss is not in float32. The packages need a GPU.
    """
    functions = {}
    if not native and getattr(F, "linear_cross_entropy", None) is not None:
        functions[TORCH] = lambda: _torch(x, weight, target)
    if x.is_cuda and importlib.util.find_spec("liger_kernel") is not None:
        functions["Liger-Kernel"] = lambda: _liger(x, weight, target)
    if x.is_cuda and importlib.util.find_spec("cut_cross_entropy") is not None:
        functions["cut-cross-entropy"] = lambda: _cut(x, weight, target)
    return functions


def _torch(x, weight, target):
    options = torch.nn.LinearCrossEntropyOptions()  # without options it is the plain formula
    return _differentiated(F.linear_cross_entropy(x, weight, target, options=options))


def _liger(x, weight, target):
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    return _differentiated(LigerFusedLinearCrossEntropyLoss()(weight, x, target))


def _cut(x, weight, target):
    from cut_cross_entropy import linear_cross_entropy

    return _differentiated(linear_cross_entropy(x, weight, target))


def _differentiated(loss):
    loss.backward()
    return loss
