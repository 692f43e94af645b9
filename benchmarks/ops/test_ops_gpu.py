"""The ops against plain PyTorch on a GPU, also as replayed CUDA graphs: see `make bench-gpu`."""

import gpu
import matrix
import measure
import pytest
import torch

CELLS = list(matrix.gpu())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("number", range(len(CELLS)))
def test_cell(number, benchmark):
    try:
        torch.cuda.synchronize()
    except RuntimeError as cause:  # an illegal access, for example, ends all use of the GPU
        pytest.exit(f"the GPU has failed: {cause}", returncode=1)
    cell = CELLS[number]()
    benchmark.group = cell.op
    results = benchmark.pedantic(gpu.measured, args=(cell,), rounds=1)
    benchmark.extra_info.update(results)
    assert not measure.ours_failed(cell)
