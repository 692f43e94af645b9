"""Where a run computes."""

import torch
import torch.distributed as dist

from mtlkit.errors import RunError


def chosen_device(name: str) -> torch.device:
    """The device called ``auto``, ``cpu`` or ``cuda``; `RunError` where it is not there.

    ``auto`` is CUDA where there is any. Processes of one machine take one GPU each.

    >>> chosen_device("cpu")
    device(type='cpu')
    """
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RunError(
            "train.device: 'cuda' was asked for and torch sees no CUDA device; "
            "use `device: cpu`, or install a torch built for the machine's driver"
        )
    current = torch.cuda.current_device()  # what a caller chose, else the first one
    local = dist.get_node_local_rank(current) if dist.is_available() else current
    if local >= torch.cuda.device_count():
        raise RunError(
            f"train.device: process {local} of this machine has no GPU of its own; torch sees "
            f"{torch.cuda.device_count()}, start as many processes"
        )
    return torch.device("cuda", local)
