"""The trained parameters that all tasks share."""

from torch import nn

from mtlkit.routers.base import RouterModule
from mtlkit.routers.branches import BranchesModule


def shared_parameters(router: RouterModule) -> list[nn.Parameter]:
    """Return the trained parameters before the features; those of branches are behind them."""
    parameters = [p for module in _shared_modules(router) for p in _trained(module)]
    return list(dict.fromkeys(parameters))  # one that two modules share counts once


def last_layer(router: RouterModule) -> list[nn.Parameter]:
    """Return the trained parameters from the last weight on: a matrix or kernel, a bias, a norm."""
    modules = _shared_modules(router)
    holds_weight = [any(p.dim() > 1 for p in _trained(module)) for module in modules]
    if not any(holds_weight):
        return []
    first = len(modules) - 1 - holds_weight[::-1].index(True)
    return list(dict.fromkeys(p for module in modules[first:] for p in _trained(module)))


def _shared_modules(router: RouterModule) -> list[nn.Module]:
    """Return the modules of `router` before the features, in the order of their construction.

    Branches, and what tasks compute from the features for themselves, are behind them.
    """
    branches = [m for m in router.modules() if isinstance(m, BranchesModule)]
    behind = (*branches, *router.own_modules())
    inside = {id(inner) for module in behind for inner in module.modules()}
    return [module for module in router.modules() if id(module) not in inside]


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters(recurse=False) if p.requires_grad]
