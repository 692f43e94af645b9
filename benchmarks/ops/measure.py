"""Measuring the ways of a cell against each other: in turns, in one process."""

import ctypes
import gc
import math
import time
from pathlib import Path

import torch


def in_turns(cell, clock, warm=(), most=25):
    """The least time of every way, in seconds, over rounds in which each has its turn.

    Ways that are not `warm` run once before. On a shared machine other processes only ever add
    time, so the least is what the work takes.
    """
    best, spent = {}, 0.0
    for name, way in cell.ways.items():
        if name not in warm:
            cell.clear()
            spent += clock(way)
    for rounds in range(1, most + 1):
        started = time.process_time()
        for name, way in cell.ways.items():
            cell.clear()
            best[name] = min(best.get(name, math.inf), clock(way))
        spent += time.process_time() - started
        if rounds >= cell.rounds and spent > cell.seconds:
            break
    return best, rounds


def cpu_seconds(way):
    """With one thread this is wall time, less what other processes take of the core."""
    started = time.process_time()
    way()
    return time.process_time() - started


def peak_bytes(cell):
    """Memory of each way beyond inputs and gradients, by the system's high-water mark."""
    found = {}
    for name, way in cell.ways.items():
        if name == "three products":
            continue
        cell.clear()
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        before = _kilobytes("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        way()
        gradients = sum(leaf.grad.nbytes for leaf in cell.leaves if leaf.grad is not None)
        found[name] = max(0, (_kilobytes("VmHWM") - before) * 1024 - gradients)
    return found


def errors(cell):
    """The relative errors of loss and gradients of every way, against float64."""
    if cell.truth is None:
        return {}
    truth = cell.truth()
    found = {}
    for name, way in cell.ways.items():
        if name == "three products":
            continue
        cell.clear()
        loss = way().detach()
        measured = (loss, *(leaf.grad for leaf in cell.leaves))
        found[name] = [
            ((one.double() - other).norm() / other.norm()).item()
            for one, other in zip(measured, truth, strict=True)
        ]
    cell.clear()
    return found


def _kilobytes(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}")


def gpu_seconds(way, repeats=30):
    """The median time of a way on the GPU, with the cache flushed before each."""
    flush = torch.empty(2**28, dtype=torch.int8, device="cuda")
    taken = []
    for _ in range(repeats):
        flush.zero_()
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        way()
        stop.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(stop) / 1e3)
    return sorted(taken)[len(taken) // 2]


def graph_seconds(cell, way):
    """The same as a replayed CUDA graph; None where the way cannot be captured."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3):
            cell.clear()
            way()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    cell.clear()
    try:
        with torch.cuda.graph(graph):
            way()
    except RuntimeError:  # torch says so of a way that waits for the device
        return None
    return gpu_seconds(graph.replay)


def gpu_peak_bytes(cell, way):
    """Memory beyond what was there and the gradients."""
    cell.clear()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    way()
    torch.cuda.synchronize()
    gradients = sum(leaf.grad.nbytes for leaf in cell.leaves if leaf.grad is not None)
    return torch.cuda.max_memory_allocated() - before - gradients
