"""The device of a run."""

import torch
import torch.distributed as dist

from mtlkit.errors import RunError


def chosen_device(name: str) -> torch.device:
    """Return the device of a recipe; `RunError` if it is unavailable.

    ``auto`` is CUDA if available, else the CPU. With ``cuda`` or ``xpu``, each process of a machine
    uses its own device; ``cuda:1`` is for a single process.

    >>> chosen_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.get_device_module(kind).is_available():
        raise RunError(
            f"train.device: got {name!r}, but torch finds no {kind.upper()} device; "
            f"use `device: cpu`, or install a torch built for the machine's driver"
        )
    if kind == "mps":
        return torch.device("mps")
    number = _index(name, kind, index)
    if kind == "xpu" and not torch.xpu.get_device_properties(number).has_fp64:
        raise RunError(
            f"train.device: got {name!r}, which has no float64, in which sums over gradients are "
            f"computed; use `device: cpu`"
        )
    return torch.device(kind, number)


def _index(name: str, kind: str, index: str) -> int:
    """Return the number of the device of this process."""
    module = torch.get_device_module(kind)
    count: int = module.device_count()
    several = dist.is_available() and dist.is_torchelastic_launched()
    if index and several:
        raise RunError(
            f"train.device: got {name!r} for several processes, expected {kind!r}, with which each "
            f"of them uses its own device"
        )
    if index and int(index) >= count:
        raise RunError(
            f"train.device: got {name!r}, but torch finds {count} {kind.upper()} devices; "
            f"expected {kind}:0 to {kind}:{count - 1}"
        )
    if index:
        return int(index)
    current: int = module.current_device()  # the one a caller set, or the first
    local = dist.get_node_local_rank(current) if dist.is_available() else current
    if local >= count:
        raise RunError(
            f"train.device: process {local} of this machine has no separate GPU, torch finds "
            f"{count}; start as many processes"
        )
    return local


def seed_device(device: torch.device, number: int) -> None:
    """Seed the random numbers of `device`, if it has its own."""
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)
