"""Estimated times: from the table of `mtlkit ops tune`, or else from the cost model."""

import json
import os
from functools import lru_cache
from pathlib import Path

import torch

from mtlkit.errors import ImplementationError
from mtlkit.ops.dispatch.device import seconds
from mtlkit.ops.dispatch.implementation import Implementation, Op, Request

TABLE = "MTLKIT_OPS_TABLE"
"""The environment variable with the path of a table written by ``mtlkit ops tune``."""


def estimate(op: Op, implementation: Implementation, request: Request) -> float:
    """Return seconds, from the tuned table if it has this step of sizes or else the cost model."""
    path = os.environ.get(TABLE)
    if path:
        measured = _table(path).get(table_key(op.name, request), {})
        if implementation.name in measured:
            return measured[implementation.name]
    return seconds(implementation.cost(request), request)


def table_key(op: str, request: Request) -> str:
    """Return the key under which a tuned table keeps the times of requests like this one.

    >>> table_key("gate", Request(500, 512, 4))
    'gate cpu float32 rows<=512 features<=512 classes<=32 parts<=1 gradient reduction=mean'
    """
    return (
        f"{op} {request.device} {str(request.dtype).removeprefix('torch.')} "
        f"rows<={round_up(request.rows)} features<={round_up(request.features)} "
        f"classes<={round_up(request.classes)} parts<={_round_parts(request.parts)} "
        f"{'gradient' if request.gradient else 'forward'} reduction={request.reduction}"
    )


@lru_cache(maxsize=16)
def _table(path: str) -> dict[str, dict[str, float]]:
    """Return the tuned table; the same torch must have measured it on the same device."""
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        torch_version, seconds_by_key = table["torch"], table["seconds"]
        gpu = table.get("gpu", "")
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ImplementationError(
            f"{TABLE}: {path} is not a table of `mtlkit ops tune`: {type(cause).__name__}: {cause}"
        ) from cause
    if torch_version != torch.__version__:
        raise ImplementationError(
            f"{TABLE}: {path} was measured with torch {torch_version}, this is torch "
            f"{torch.__version__}; run `mtlkit ops tune` again"
        )
    if gpu and gpu != gpu_name():
        raise ImplementationError(
            f"{TABLE}: {path} was measured on {gpu}, this is {gpu_name() or 'no GPU'}; run "
            f"`mtlkit ops tune` again"
        )
    checked: dict[str, dict[str, float]] = seconds_by_key
    if unknown := next((key for key in checked if " parts<=" not in key), ""):
        raise ImplementationError(
            f"{TABLE}: {path} has the line {unknown!r}, as another mtlkit wrote it; run `mtlkit "
            f"ops tune` again"
        )
    return checked


def gpu_name() -> str:
    """Return the name of the GPU, or an empty string."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def round_up(size: int) -> int:
    """Round a size up: by 2 while a batch may be small, by 4 beyond."""
    for bound in (32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 262144, 1048576):
        if size <= bound:
            return bound
    return 2**30


def _round_parts(parts: int) -> int:
    """Round a number of heads or groups up: to 1, to 8, or as `round_up` does."""
    return 1 if parts <= 1 else 8 if parts <= 8 else round_up(parts)
