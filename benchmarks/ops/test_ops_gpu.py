"""The same on a GPU, in bfloat16, plainly and as a replayed CUDA graph: see `make bench-gpu`."""

import competitors
import matrix
import measure
import pytest
import torch

CELLS = list(matrix.gpu())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("number", range(len(CELLS)))
def test_cell(number, benchmark):
    cell = CELLS[number]()
    if cell.op == "linear_cross_entropy":
        x, weight, target = cell.leaves[0], cell.leaves[1], cell.target
        cell.ways |= competitors.ways(x, weight, target)
    wrong = measure.errors(cell)
    peaks = {
        name: measure.gpu_peak_bytes(cell, way)
        for name, way in cell.ways.items() if name != "three products"
    }  # fmt: skip
    best, rounds = measure.in_turns(cell, measure.gpu_seconds, most=3)
    replayed = {name: measure.graph_seconds(cell, way) for name, way in cell.ways.items()}
    benchmark.group = cell.op
    chosen = cell.ways.get("auto", next(reversed(cell.ways.values())))
    benchmark.pedantic(chosen, setup=cell.clear, rounds=1)
    benchmark.extra_info.update(
        op=cell.op, title=cell.title, baseline=cell.baseline, sizes=cell.sizes, rounds=rounds,
        seconds=best, flops=cell.flops, peak_bytes=peaks, errors=wrong, graph_seconds=replayed,
    )  # fmt: skip
    assert set(best) == set(cell.ways)
