"""The device of a run."""

import torch
import torch.distributed as dist

from mtlkit.errors import RunError


def chosen_device(name: str) -> torch.device:
    """Return the device named ``auto``, ``cpu`` or ``cuda``; `RunError` if it is unavailable.

    ``auto`` is CUDA if available. Each process of a machine uses its own GPU.

    >>> chosen_device("cpu")
    device(type='cpu')
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RunError(
            "train.device: got 'cuda', but torch finds no CUDA device; "
            "use `device: cpu`, or install a torch built for the machine's driver"
        )
    current = torch.cuda.current_device()  # the one a caller set, or the first
    local = dist.get_node_local_rank(current) if dist.is_available() else current
    if local >= torch.cuda.device_count():
        raise RunError(
            f"train.device: process {local} of this machine has no separate GPU, torch finds "
            f"{torch.cuda.device_count()}; start as many processes"
        )
    return torch.device("cuda", local)
