"""The trained parameters that all tasks share."""

from torch import nn

from mtlkit.routers.base import RouterModule
from mtlkit.routers.branches import BranchesModule


def shared_parameters(router: RouterModule) -> list[nn.Parameter]:
    """Return the trained parameters that the features depend on, without those of branches."""
    parameters = [p for module in _shared_modules(router) for p in _trained(module)]
    return list(dict.fromkeys(parameters))  # remove duplicates of shared ones


def last_layer(router: RouterModule) -> list[nn.Parameter]:
    """Return the trained parameters of the last layer with a weight, and of those after it."""
    modules = _shared_modules(router)
    holds_weight = [any(p.dim() > 1 for p in _trained(module)) for module in modules]
    if not any(holds_weight):
        return []
    first = len(modules) - 1 - holds_weight[::-1].index(True)
    return list(dict.fromkeys(p for module in modules[first:] for p in _trained(module)))


def _shared_modules(router: RouterModule) -> list[nn.Module]:
    """Return the modules of `router` that compute the features, in the order of construction.

    Branches and the `own_modules` of a router read the features and are excluded.
    """
    branches = [m for m in router.modules() if isinstance(m, BranchesModule)]
    behind = (*branches, *router.own_modules())
    inside = {inner for module in behind for inner in module.modules()}
    return [module for module in router.modules() if module not in inside]


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters(recurse=False) if p.requires_grad]
