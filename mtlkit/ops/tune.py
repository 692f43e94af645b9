"""Measured times of the implementations on this machine, to base the choice on."""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from mtlkit.ops.dispatch.estimate import gpu_name, table_key
from mtlkit.ops.dispatch.implementation import Op
from mtlkit.ops.dispatch.timing import Sizes, Timing

ROUNDS = 5


def measured(op: Op, timing: Timing, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the least seconds of each implementation that may be chosen automatically.

    They take turns; the first round only warms up.
    """
    best = {
        name: math.inf
        for name, impl in op.implementations.items()
        if impl.automatic and not impl.refuses(timing.request)
    }
    for number in range(rounds + 1):
        for name in best:
            started = time.perf_counter()
            timing.call(name)
            if timing.request.device == "cuda":
                torch.cuda.synchronize()
            if number:
                best[name] = min(best[name], time.perf_counter() - started)
    return best


def tuned(ops: Iterable[Op], sizes: Sizes, report: Callable[[str, dict[str, float]], None]) -> Any:
    """Return the table that `MTLKIT_OPS_TABLE` names, as JSON; `report` is called for each line."""
    seconds: dict[str, dict[str, float]] = {}
    for op in ops:
        for timing in op.timings(sizes) if op.timings else ():
            key = table_key(op.name, timing.request)
            seconds[key] = measured(op, timing)
            report(key, seconds[key])
    gpu = gpu_name() if sizes.device == "cuda" else ""
    return {"torch": torch.__version__, "gpu": gpu, "seconds": seconds}
