"""Functions that torch.compile compiles when they are first called."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor


@cache
def compiled(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Return `function` compiled by torch.compile, once for each function."""
    return torch.compile(function)


def compiled_later(function: Callable[[Any], Tensor]) -> Callable[[Any], Tensor]:
    """Return `function` such that its first call compiles it."""
    return lambda call: compiled(function)(call)
