"""Measurements on a GPU: times by its clock, replayed graphs, memory, and ways to skip."""

import contextlib
import math
import time

import torch
from cells import FLOOR
from competitors import TORCH
from measure import each_way, errors, gradient_bytes, in_turns, told

from mtlkit.ops.dispatch.estimate import estimate
from mtlkit.ops.dispatch.table import builtin_ops

OPS = builtin_ops()

DEVICE = "cuda"
FLUSH = 2**28
"""Bytes written before each measurement, more than any cache holds."""

ROUNDS, REPEATS = 3, 30
LIMIT = 5.0
"""Seconds for a way's repeats, in all rounds and as a graph."""

HOPELESS = 10
"""A way expected to take this many times the least is left out if it also exceeds LONG."""

LONG = 0.02
"""Seconds. Shorter ways are always measured, since estimates are not fitted on a GPU."""

LIKE = {
    "textbook": "eager",
    "textbook, target only": "eager",
    "separate heads": "eager",
    "sort and slice": "eager",
    TORCH: "native",
}
"""The implementation whose cost estimates a way that has none."""


def measured(cell):
    """Return all measurements of a cell."""
    leave_out(cell)
    wrong = errors(cell)
    peaks = each_way(cell, lambda way: peak_bytes(cell, way))
    peaks.pop(FLOOR, None)
    best, rounds = in_turns(
        cell, lambda way: seconds(way, cell.clear), warm=list(cell.ways), most=ROUNDS
    )
    replayed, refusals = {}, {}
    for name, way in cell.ways.items():
        cell.clear()
        replayed[name], refusals[name] = graph_seconds(cell, way)
    return told(
        cell, best, rounds, device="cuda", peak_bytes=peaks, errors=wrong, graph_seconds=replayed,
        no_graph={name: why for name, why in refusals.items() if why},
    )  # fmt: skip


def leave_out(cell):
    """Remove the ways that would not fit, or that take many times the least, by their costs."""
    if cell.request is None:
        return
    op, free = OPS[cell.op], torch.cuda.mem_get_info()[0]
    expected = {}
    for name in cell.ways:
        like = op.implementations.get(LIKE.get(name, name))
        if like is not None:
            peak = like.cost(cell.request).peak
            expected[name] = estimate(op, like, cell.request), peak
    least = min((cost for cost, peak in expected.values() if peak <= free), default=math.inf)
    for name, (cost, peak) in expected.items():
        if peak > free:
            reason = f"needs {peak / 2**30:.0f} GiB by estimate, {free / 2**30:.0f} are free"
        elif cost > max(HOPELESS * least, LONG):
            reason = f"{cost:.2g} s by estimate, {cost / least:.0f} times the least"
        else:
            continue
        cell.left_out[name] = reason
        del cell.ways[name]


def seconds(way, clear, limit=LIMIT / (ROUNDS + 1)):
    """Return the median time of a way, with the cache flushed before each of at most 30 repeats.

    Gradients are cleared outside the time: adding to those of the last repeat is not timed.
    """
    flush = torch.empty(FLUSH, dtype=torch.int8, device=DEVICE)
    taken, until = [], time.perf_counter() + limit
    while not taken or (len(taken) < REPEATS and time.perf_counter() < until):
        clear()
        flush.zero_()
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        way()
        stop.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(stop) / 1e3)
    return sorted(taken)[len(taken) // 2]


def graph_seconds(cell, way):
    """Return the same of a replayed CUDA graph or None, and the reason why there is none.

    A capture that fails may leave torch's generator of random numbers in capture mode, so no way
    that is known to wait for the device is captured.
    """
    current, side = torch.cuda.current_stream(), torch.cuda.Stream()
    try:
        side.wait_stream(current)
        with torch.cuda.stream(side):
            for _ in range(2):
                cell.clear()
                way()
            cell.clear()
            if _waits(way):
                return None, "waits for the device"
        current.wait_stream(side)
        torch.cuda.synchronize()
        cell.clear()
        return seconds(_captured(way, side).replay, lambda: None), ""
    except torch.OutOfMemoryError:
        return None, "out of memory"
    except Exception as cause:
        first = next(iter(str(cause).splitlines()), "")
        return None, f"{type(cause).__name__}: {first[:200]}"
    finally:
        current.wait_stream(side)
        cell.clear()


def _waits(way):
    """Return whether a way waits for the device, as torch detects; a wait stops it."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        way()
    except RuntimeError as cause:
        if "synchronizing" in str(cause):
            return True
        raise
    finally:
        torch.cuda.set_sync_debug_mode(before)
    return False


def _captured(way, side):
    """Return the graph of a way; the current stream is always restored.

    torch leaves the stream of a capture only after ending it, which raises if the capture was
    invalidated. An empty capture that succeeds also resets the generator.
    """
    home, graph = torch.cuda.current_stream(), torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=side):
            way()
    except Exception:
        torch.cuda.set_stream(home)
        with contextlib.suppress(RuntimeError):
            torch.cuda.synchronize()
            with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.Stream()):
                torch.zeros(1, device=DEVICE)
        raise
    finally:
        torch.cuda.set_stream(home)
    return graph


def peak_bytes(cell, way):
    """Return memory beyond prior memory and gradients in a second call: the first may compile."""
    way()
    cell.clear()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    way()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before - gradient_bytes(cell)
