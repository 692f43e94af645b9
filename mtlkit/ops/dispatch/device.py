"""Speeds of devices, as precise as the choice between implementations requires.

On a CPU only ratios matter. They were fitted to one thread of an AMD EPYC (AVX-512) with torch
2.14: see docs/explanation/ops.md. The speeds of GPUs are not fitted.
"""

import os
from functools import cache
from typing import NamedTuple

import torch

from mtlkit.ops.dispatch.implementation import Cost, Request


class Device(NamedTuple):
    """Speeds in SI units.

    A buffer larger than `mapped` bytes is returned to the system when it is freed, and its pages
    must be allocated again, at the speed `fresh_bandwidth`.
    """

    flops: float
    low_precision_flops: float
    bandwidth: float
    fresh_bandwidth: float
    mapped: float
    call: float
    memory: float


GPUS = {"H200": (790e12, 4.3e12), "H100": (790e12, 3.0e12), "A100": (250e12, 1.5e12)}
"""bf16 FLOP/s and bytes/s by a part of the device's name."""

ASSUMED = "H200"
"""GPU whose speeds are assumed on a machine without one."""

UNKNOWN = (100e12, 0.6e12)
"""Speeds of a GPU that `GPUS` does not list."""


@cache
def device_of(kind: str) -> Device:
    """Return the device of this kind (``cpu``, ``cuda``) on this machine."""
    if kind == "cuda" and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return _gpu(*_speeds(properties.name), properties.total_memory)
    if kind == "cuda":
        return _gpu(*GPUS[ASSUMED], 141e9)  # an estimate for a GPU on a machine without one
    return Device(
        flops=98e9, low_precision_flops=240e9, bandwidth=12e9, fresh_bandwidth=1.0e9,
        mapped=32 * 2**20, call=4e-6, memory=_physical_memory(),
    )  # fmt: skip


def device_text(kind: str) -> str:
    """Return the device that estimates are for: the one of this machine, or an assumed one."""
    if kind != "cuda":
        return "a CPU"
    if not torch.cuda.is_available():
        return f"an assumed {ASSUMED}: torch finds no GPU here, so none of this can run"
    name = torch.cuda.get_device_name()
    speeds = _speeds(name)
    if speeds in GPUS.values():
        return name
    flops, bandwidth = speeds
    return f"{name}, taken for a GPU of {flops / 1e12:.0f} TFLOP/s and {bandwidth / 1e12:.1f} TB/s"


def _speeds(name: str) -> tuple[float, float]:
    """Return FLOP/s in 16 bits and bytes/s of a GPU of this name."""
    return next((speeds for part, speeds in GPUS.items() if part in name), UNKNOWN)


def _physical_memory() -> float:
    """Return the bytes of memory of this machine; infinity if the system does not report them."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return float("inf")


def _gpu(flops: float, bandwidth: float, memory: float) -> Device:
    return Device(
        flops=flops / 16, low_precision_flops=flops, bandwidth=bandwidth,
        fresh_bandwidth=bandwidth, mapped=float("inf"), call=5e-6, memory=memory,
    )  # fmt: skip


def seconds(cost: Cost, request: Request) -> float:
    """Return the estimated time of `cost`: a GPU overlaps work and traffic, a CPU does not."""
    device = device_of(request.device)
    low = request.dtype in (torch.bfloat16, torch.float16)
    work = cost.flops / (device.low_precision_flops if low else device.flops)
    fresh = cost.buffers * cost.buffer if cost.buffer > device.mapped else 0.0
    traffic = cost.moved / device.bandwidth + fresh / device.fresh_bandwidth
    started = cost.calls * device.call
    return started + (max(work, traffic) if request.device == "cuda" else work + traffic)


def fits(cost: Cost, request: Request) -> bool:
    """Return whether the memory beyond inputs and results stays below half of the device's."""
    return cost.peak < device_of(request.device).memory / 2
