"""Measurements of the ways of a cell: in turns, in one process.

A way that cannot run is removed from the cell, with the reason; the others are measured.
"""

import contextlib
import ctypes
import gc
import math
import time
from pathlib import Path

import torch
from cells import FLOOR


def measured(cell):
    """Return all measurements of a cell, on a CPU."""
    wrong = errors(cell)
    peaks = peak_bytes(cell) if cell.memory else {}
    best, rounds = in_turns(cell, cpu_seconds, warm=list(peaks))
    peaks.pop(FLOOR, None)
    return told(cell, best, rounds, device="cpu", peak_bytes=peaks, errors=wrong)


def attempt(cell, name, step, *arguments):
    """Return the result of `step` for the way `name`; None if it fails, and remove the way."""
    cell.clear()
    try:
        return step(*arguments)
    except torch.OutOfMemoryError:
        reason = "out of memory"
    except Exception as cause:
        first = next(iter(str(cause).splitlines()), "")
        reason = f"{type(cause).__name__}: {first[:200]}"
    cell.failed[name] = reason
    del cell.ways[name]
    cell.clear()
    gc.collect()
    with contextlib.suppress(RuntimeError):  # if the device has failed
        torch.cuda.empty_cache()
    return None


def each_way(cell, step):
    """Return the result of `step(way)` for every way that can run, by name."""
    results = {name: attempt(cell, name, step, way) for name, way in list(cell.ways.items())}
    return {name: value for name, value in results.items() if name in cell.ways}


def in_turns(cell, clock, warm=(), most=25):
    """Return the least time of every way, in seconds, over rounds in which each runs once.

    Ways that are not `warm` run once before, unless the cell is to be measured cold. On a shared
    machine other processes only ever add time, so the least is the time of the work.
    """
    best, spent = {}, 0.0
    for name, way in list(cell.ways.items()):
        if name not in warm and not cell.cold:
            attempt(cell, name, way)
    for rounds in range(1, most + 1):
        started = time.process_time()
        for name, seconds in each_way(cell, clock).items():
            best[name] = min(best.get(name, math.inf), seconds)
        spent += time.process_time() - started
        if rounds >= cell.rounds and spent > cell.seconds:
            break
    return {name: best[name] for name in cell.ways}, rounds


def cpu_seconds(way):
    """Return the CPU time: with one thread, wall time less that of other processes."""
    started = time.process_time()
    way()
    return time.process_time() - started


def peak_bytes(cell):
    """Return memory of each way beyond inputs and gradients, by the system's high-water mark."""

    def peak(way):
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = _kilobytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        way()
        return max(0, (_kilobytes("VmHWM") - before) * 1024 - gradient_bytes(cell))

    return each_way(cell, peak)


def gradient_bytes(cell):
    """Return the bytes of the gradients that a way has left."""
    return sum(leaf.grad.nbytes for leaf in cell.leaves if leaf.grad is not None)


def errors(cell):
    """Return the relative errors of loss and gradients of every way, against float64."""
    if cell.truth is None:
        return {}
    truth = cell.truth()

    def error(way):
        loss = way()
        if loss is None:
            return None  # the floor, which has no loss
        measured = (loss.detach(), *(leaf.grad for leaf in cell.leaves))
        return [
            ((one.double() - other).norm() / other.norm()).item()
            for one, other in zip(measured, truth, strict=True)
        ]

    relative = each_way(cell, error)
    cell.clear()
    return {name: value for name, value in relative.items() if value is not None}


def told(cell, best, rounds, **measured):
    """Return the record of a cell: its measurements and their baselines."""
    floor = best.get(FLOOR)
    return {
        "op": cell.op,
        "title": cell.title,
        "baseline": cell.baseline,
        "sizes": cell.sizes,
        "rounds": rounds,
        "seconds": best,
        "flops": cell.flops,
        "min_bytes": cell.min_bytes,
        "of_floor": {} if floor is None else {name: floor / value for name, value in best.items()},
        "auto": cell.taken,
        "beside": cell.beside,
        "left_out": cell.left_out,
        "failed": cell.failed,
        **measured,
    }


def ours_failed(cell):
    """Return the failures except those of other packages or for lack of memory."""
    theirs = ("Liger-Kernel", "cut-cross-entropy")
    return {
        name: why
        for name, why in cell.failed.items()
        if name not in theirs and why != "out of memory"
    }


def _kilobytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")
