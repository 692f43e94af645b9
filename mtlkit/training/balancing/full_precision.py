"""Weigh losses in full precision, whatever the precision of the caller's network."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Method = TypeVar("Method", bound=Callable[..., Any])


def in_full_precision(method: Method) -> Method:
    """Run a method of given losses without autocast, and the functions among them with it.

    Lightning runs a whole training step in autocast, and with it what the step calls.
    """

    @wraps(method)
    def run(self: Any, losses: Any, **options: Any) -> Any:
        device = self.device.type
        if not torch.is_autocast_enabled(device):
            return method(self, losses, **options)
        autocast = torch.autocast(device, torch.get_autocast_dtype(device))

        def kept(given: Any) -> Any:
            if isinstance(given, list):
                return [kept(part) for part in given]
            return autocast(given) if callable(given) else given

        if "draws" in options:
            options["draws"] = kept([*options["draws"]])
        with torch.autocast(device, enabled=False):
            return method(self, kept(losses), **options)

    return cast(Method, run)


def keeping_dtypes(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return `fn` without a change of dtype, as by ``module.bfloat16()``; a device changes.

    Half precision rounds weights and their state.
    """

    def moved(tensor: Tensor) -> Tensor:
        changed = fn(tensor)
        return changed if changed.dtype is tensor.dtype else tensor.to(changed.device)

    return moved
