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
    from mtlkit.backbones.configs import CasiaNet, Mlp, Timm
    from mtlkit.catalog import Catalog, load_catalog
    from mtlkit.config import Component
    from mtlkit.data.configs import DataSource, Loading
    from mtlkit.data.divide import Division
    from mtlkit.data.images import Images
    from mtlkit.data.table import Table
    from mtlkit.errors import MtlkitError
    from mtlkit.heads.configs import Classification, Margin, Regression
    from mtlkit.hooks import hookimpl
    from mtlkit.optim.configs import AdamW, Constant, Cosine, Sgd, Steps
    from mtlkit.recipe import Recipe, Train
    from mtlkit.recipe_file import dump_recipe, load_recipe
    from mtlkit.routing.configs import BlockBranch, Choice, Grouped, LinearBranch, Shared
    from mtlkit.routing.soft_sharing import (
        Cgc,
        CrossStitch,
        DselectK,
        LearnToBranch,
        Mmoe,
        Mtan,
        Ple,
    )
    from mtlkit.run.evaluate import load_model
    from mtlkit.run.fit import fit, resume
    from mtlkit.tasks import Task
    from mtlkit.vocabulary import Kind, Role
    from mtlkit.weighting.configs import Dynamic, Equal, Fixed, Uncertainty

_HOMES = {
    "mtlkit.backbones.configs": ("CasiaNet", "Mlp", "Timm"),
    "mtlkit.catalog": ("Catalog", "load_catalog"),
    "mtlkit.config": ("Component",),
    "mtlkit.data.configs": ("DataSource", "Loading"),
    "mtlkit.data.divide": ("Division",),
    "mtlkit.data.images": ("Images",),
    "mtlkit.data.table": ("Table",),
    "mtlkit.errors": ("MtlkitError",),
    "mtlkit.heads.configs": ("Classification", "Margin", "Regression"),
    "mtlkit.hooks": ("hookimpl",),
    "mtlkit.optim.configs": ("AdamW", "Constant", "Cosine", "Sgd", "Steps"),
    "mtlkit.recipe": ("Recipe", "Train"),
    "mtlkit.recipe_file": ("dump_recipe", "load_recipe"),
    "mtlkit.routing.configs": ("BlockBranch", "Choice", "Grouped", "LinearBranch", "Shared"),
    "mtlkit.routing.soft_sharing": (
        "Cgc",
        "CrossStitch",
        "DselectK",
        "LearnToBranch",
        "Mmoe",
        "Mtan",
        "Ple",
    ),
    "mtlkit.run.evaluate": ("load_model",),
    "mtlkit.run.fit": ("fit", "resume"),
    "mtlkit.tasks": ("Task",),
    "mtlkit.vocabulary": ("Kind", "Role"),
    "mtlkit.weighting.configs": ("Dynamic", "Equal", "Fixed", "Uncertainty"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdamW",
    "BlockBranch",
    "CasiaNet",
    "Catalog",
    "Cgc",
    "Choice",
    "Classification",
    "Component",
    "Constant",
    "Cosine",
    "CrossStitch",
    "DataSource",
    "Division",
    "DselectK",
    "Dynamic",
    "Equal",
    "Fixed",
    "Grouped",
    "Images",
    "Kind",
    "LearnToBranch",
    "LinearBranch",
    "Loading",
    "Margin",
    "Mlp",
    "Mmoe",
    "Mtan",
    "MtlkitError",
    "Ple",
    "Recipe",
    "Regression",
    "Role",
    "Sgd",
    "Shared",
    "Steps",
    "Table",
    "Task",
    "Timm",
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
