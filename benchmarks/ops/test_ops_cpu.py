"""The ops against each other and against plain PyTorch, on one CPU thread: see `make bench`."""

import matrix
import measure
import pytest
import torch

from mtlkit.ops.catalog import OPS

CELLS = list(matrix.cpu())


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_cell(number, benchmark):
    torch.set_num_threads(1)
    cell = CELLS[number]()
    wrong = measure.errors(cell)
    peaks = measure.peak_bytes(cell) if cell.memory else {}
    best, rounds = measure.in_turns(cell, measure.cpu_seconds, peaks)
    # what pytest-benchmark itself times is the way that is chosen unless told otherwise
    benchmark.group = cell.op
    chosen = cell.ways.get("auto", next(reversed(cell.ways.values())))
    benchmark.pedantic(chosen, setup=cell.clear, rounds=1)
    benchmark.extra_info.update(
        op=cell.op, title=cell.title, baseline=cell.baseline, sizes=cell.sizes, rounds=rounds,
        seconds=best, flops=cell.flops, peak_bytes=peaks, errors=wrong,
    )  # fmt: skip
    assert set(best) == set(cell.ways)
    assert cell.op in OPS
