"""Numerics of a run, which depend on threads, torch, the device, and the choice of ops."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import torch

from mtlkit.ops.dispatch.choice import environment_choices
from mtlkit.runs.storage.folder import RunFolder, read_provenance
from mtlkit.training.checkpoint import Checkpoint

PACKAGES = ("mtlkit", "torch", "torchvision", "timm", "numpy", "safetensors")
"""The packages whose version can change a result."""


@contextmanager
def threads_of(folder: RunFolder, stated: int | str) -> Iterator[None]:
    """Use the `stated` number of threads, or the run's first one; restore the old number after.

    Another number of threads changes the order of sums in torch, and therefore the bits.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(stated if isinstance(stated, int) else read_provenance(folder)["threads"])
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def tensor_float_32(allowed: bool | None) -> Iterator[None]:
    """Allow TensorFloat-32 in float32 products and convolutions, or not; None changes nothing."""
    if allowed is None:
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def device_name(device: torch.device) -> str:
    """Return the name of the device in the provenance."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return torch.xpu.get_device_name(device) if device.type == "xpu" else device.type


def package_version(package: str) -> str:
    """Return the installed version of `package`, or ``unknown`` for a bare checkout."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def changed_arithmetic(
    provenance: Mapping[str, Any], checkpoint: Checkpoint, device: torch.device
) -> str | None:
    """Return a warning that lists changes of torch, device and choice of ops, or None."""
    versions = provenance["versions"]
    settings = (
        ("torch", checkpoint.torch, torch.__version__),
        *((name, versions[name], package_version(name)) for name in PACKAGES[2:]),
        ("the device", provenance["device"], device_name(device)),
        ("the choice of ops", provenance.get("ops", ""), environment_choices()),
    )
    changed = [
        f"{name} was {then or 'left open'} and is {now or 'left open'}"
        for name, then, now in settings
        if then != now
    ]
    if not changed:
        return None
    return f"warning: {', '.join(changed)}; the result may differ in its last digits"
