"""The arithmetic of a run: a sum depends on threads, torch, the device, and the choice of ops."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from mtlkit.ops.dispatch.choice import environment_choices
from mtlkit.runs.folder import RunFolder, read_json
from mtlkit.training.checkpoint import Checkpoint


@contextmanager
def threads_of(folder: RunFolder, stated: int | None) -> Iterator[None]:
    """Compute with the `stated` threads, or as many as the run began with; then as before.

    With another number of threads torch adds in another order, and the bits differ.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(stated or read_json(folder.provenance)["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(before)


def device_name(device: torch.device) -> str:
    """The device as the provenance names it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def changed_arithmetic(
    provenance: Mapping[str, Any], checkpoint: Checkpoint, device: torch.device
) -> str | None:
    """What of torch, device and environment is no longer as it was; None where nothing is."""
    found = (
        ("torch", checkpoint.torch, torch.__version__),
        ("the device", provenance["device"], device_name(device)),
        ("the choice of ops", provenance.get("ops", ""), environment_choices()),
    )
    changed = [
        f"{what} was {then or 'left open'} and is {now or 'left open'}"
        for what, then, now in found
        if then != now
    ]
    if not changed:
        return None
    return f"warning: {', '.join(changed)}; the result may differ in its last digits"
