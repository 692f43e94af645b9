"""Number of kernels that a training step of all heads starts on a GPU, counted without one.

    python benchmarks/ops/launches.py --out benchmarks/results/launches.md

Every operator is counted except views and allocations, in a forward and a backward pass of
`multi_head_cross_entropy`; one operator is at least one kernel, mostly one. See `absent.py`.
"""

import argparse
import platform
from collections import Counter
from datetime import date
from pathlib import Path

import torch
from absent import absent_gpu, backward

from mtlkit import ops
from mtlkit.ops.dispatch.implementation import Request
from mtlkit.ops.dispatch.table import builtin_ops

OPS = builtin_ops()

ROWS, FEATURES, CLASSES = 512, 512, (200, 13, 20, 7)
ASKED = 5
NAME = "multi_head_cross_entropy"


def counted(name, dtype=torch.float32):
    """Return counts of a forward and of a backward pass, of a step that is not the first."""

    def drawn(*size):
        return torch.empty(*size, dtype=dtype, device="meta", requires_grad=True)

    x = drawn(ROWS, FEATURES)
    weights, biases = [drawn(c, FEATURES) for c in CLASSES], [drawn(c) for c in CLASSES]
    gate = drawn(len(CLASSES), FEATURES), drawn(len(CLASSES))
    targets = [torch.empty(ROWS, dtype=torch.int64, device="meta") for _ in CLASSES]
    with absent_gpu() as gpu:
        for gpu.warming in (True, False):
            gpu.started.clear()
            result = ops.multi_head_cross_entropy(
                x, weights, targets, biases, gate=gate, implementation=name
            )
            forward = Counter(gpu.started)
            backward([result.losses, result.gate], [x, *weights, *biases, *gate])
    return forward, gpu.started - forward


def table():
    """Yield Markdown: the counts of each way, and what they consist of."""
    heads = f"{'+'.join(map(str, CLASSES))} classes and a gate"
    yield f"# Kernels that a step of heads starts: N={ROWS}, D={FEATURES}, {heads}"
    yield ""
    yield f"{date.today().isoformat()}, Python {platform.python_version()}, torch"
    yield f"{torch.__version__}, float32, by `benchmarks/ops/launches.py`: the operators that start"
    yield "kernels, counted without a GPU. One may start several kernels; no time was measured."
    yield "No step waits for the GPU, copies from the host or has a shape that depends on a value,"
    yield "as a captured graph wants it; none was captured. Asked for are"
    yield f"{ASKED} launches or one graph."
    yield ""
    yield "| way | forward | backward | together |"
    yield "|---|---|---|---|"
    parts = []
    request = Request(ROWS, FEATURES, sum(CLASSES) + len(CLASSES), device="cuda", parts=5)
    for name, implementation in OPS[NAME].implementations.items():
        if why := implementation.refuses(request):
            parts.append(f"{name} was left out: {why}")
            continue
        forward, behind = counted(name)
        total = forward.total() + behind.total()
        yield f"| {name} | {forward.total()} | {behind.total()} | {total} |"
        parts.append(f"{name}: forward {_described(forward)}; backward {_described(behind)}.")
    for part in parts:
        yield f"\n{part}"


def _described(started):
    return ", ".join(f"{name} {count}" for name, count in started.most_common())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="where the table is written, beside printing it")
    chosen = parser.parse_args()
    text = "\n".join(table()) + "\n"
    print(text, end="")
    if chosen.out:
        chosen.out.write_text(text)
