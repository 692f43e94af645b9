"""The ops against each other and against plain PyTorch, on one CPU thread: see `make bench`."""

import matrix
import measure
import pytest
import torch

CELLS = list(matrix.cpu())


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_cell(number, benchmark):
    torch.set_num_threads(1)
    cell = CELLS[number]()
    benchmark.group = cell.op
    # pytest-benchmark times the whole cell: its ways are timed separately
    results = benchmark.pedantic(measure.measured, args=(cell,), rounds=1)
    benchmark.extra_info.update(results)
    assert not measure.ours_failed(cell)
