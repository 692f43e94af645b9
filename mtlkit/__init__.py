"""mtlkit: a pluggable framework for multi-task learning on PyTorch.

Assemble a recipe from named parts, train it, and open its report:

>>> import mtlkit
>>> from mtlkit.weightings import CAGrad
>>> tasks = {"identity": mtlkit.Task(role=mtlkit.Role.MAIN), "pose": mtlkit.Task()}
>>> CAGrad(c=0.4).c
0.4

Every name is imported on first use: ``import mtlkit`` imports neither torch nor a plugin.
"""

import importlib.metadata
from typing import Any

from mtlkit.namespace import attach

_load, __dir__, __all__ = attach(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("mtlkit")
    return _load(name)
