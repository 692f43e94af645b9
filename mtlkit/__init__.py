"""mtlkit: a pluggable framework for multi-task learning on PyTorch.

Assemble a recipe from named parts, fit it, and open what came of it:

>>> import mtlkit
>>> tasks = {"identity": mtlkit.Task(role=mtlkit.Role.MAIN), "pose": mtlkit.Task()}
>>> mtlkit.Dynamic(total=0.1).form
'mean-of-products'

Every name below is imported on first use, so that ``import mtlkit`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlkit.backbones._configs import MLP, CasiaNet, TimmModel
    from mtlkit.component import Component
    from mtlkit.data.images import Images
    from mtlkit.data.source import DataSource, Loading
    from mtlkit.data.split import Division
    from mtlkit.data.table import Table
    from mtlkit.errors import MtlkitError
    from mtlkit.heads._configs import Classification, Margin, Regression
    from mtlkit.optim.base import SGD, AdamW, Constant, Cosine, Steps
    from mtlkit.plugins.catalog import Catalog, load_catalog
    from mtlkit.plugins.hooks import hookimpl
    from mtlkit.recipe import Recipe, Train
    from mtlkit.recipe_io import dump_recipe, load_recipe
    from mtlkit.routers._configs import BlockBranch, BranchSelection, Grouped, LinearBranch, Shared
    from mtlkit.routers._soft_sharing import (
        CGC,
        MTAN,
        PLE,
        CrossStitch,
        DSelectK,
        LearnToBranch,
        MMoE,
    )
    from mtlkit.runs.evaluate import load_model
    from mtlkit.runs.fit import fit, resume
    from mtlkit.task import Task
    from mtlkit.task_types import Role, TaskKind
    from mtlkit.weightings.configs import Dynamic, Equal, Fixed, Uncertainty

_HOMES = {
    "mtlkit.backbones._configs": ("CasiaNet", "MLP", "TimmModel"),
    "mtlkit.plugins.catalog": ("Catalog", "load_catalog"),
    "mtlkit.component": ("Component",),
    "mtlkit.data.source": ("DataSource", "Loading"),
    "mtlkit.data.split": ("Division",),
    "mtlkit.data.images": ("Images",),
    "mtlkit.data.table": ("Table",),
    "mtlkit.errors": ("MtlkitError",),
    "mtlkit.heads._configs": ("Classification", "Margin", "Regression"),
    "mtlkit.plugins.hooks": ("hookimpl",),
    "mtlkit.optim.base": ("AdamW", "Constant", "Cosine", "SGD", "Steps"),
    "mtlkit.recipe": ("Recipe", "Train"),
    "mtlkit.recipe_io": ("dump_recipe", "load_recipe"),
    "mtlkit.routers._configs": (
        "BlockBranch",
        "BranchSelection",
        "Grouped",
        "LinearBranch",
        "Shared",
    ),
    "mtlkit.routers._soft_sharing": (
        "CGC",
        "CrossStitch",
        "DSelectK",
        "LearnToBranch",
        "MMoE",
        "MTAN",
        "PLE",
    ),
    "mtlkit.runs.evaluate": ("load_model",),
    "mtlkit.runs.fit": ("fit", "resume"),
    "mtlkit.task": ("Task",),
    "mtlkit.task_types": ("TaskKind", "Role"),
    "mtlkit.weightings.configs": ("Dynamic", "Equal", "Fixed", "Uncertainty"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CGC",
    "MLP",
    "MTAN",
    "PLE",
    "SGD",
    "AdamW",
    "BlockBranch",
    "BranchSelection",
    "CasiaNet",
    "Catalog",
    "Classification",
    "Component",
    "Constant",
    "Cosine",
    "CrossStitch",
    "DSelectK",
    "DataSource",
    "Division",
    "Dynamic",
    "Equal",
    "Fixed",
    "Grouped",
    "Images",
    "LearnToBranch",
    "LinearBranch",
    "Loading",
    "MMoE",
    "Margin",
    "MtlkitError",
    "Recipe",
    "Regression",
    "Role",
    "Shared",
    "Steps",
    "Table",
    "Task",
    "TaskKind",
    "TimmModel",
    "Train",
    "Uncertainty",
    "dump_recipe",
    "fit",
    "hookimpl",
    "load_catalog",
    "load_model",
    "load_recipe",
    "resume",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"mtlkit has no public name {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
