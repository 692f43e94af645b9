"""Microseconds of processor time a call takes on one thread: the median of many, on four tasks.

    python benchmarks/bench_call.py

Weights are made of a 4x4 Gramian, directions of a Jacobian of four gradients at the features of 64
samples, 512 each. Beside each stands TorchJD's own time for the same, and first mtlkit's MGDA.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from mtlkit_torchjd.configs import (
    ConFig,
    DualProj,
    GradDrop,
    Krum,
    Pcd,
    TrimmedMean,
    UpGrad,
)
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Role, TaskKind
from mtlkit.weightings import MGDA, JacobianWeighting, UpdateStats, Weighting

TASKS, FEATURES = 4, 64 * 512
TERMS = tuple(
    LossTerm(name, name, Role.SIDE if place else Role.MAIN, TaskKind.REGRESSION)
    for place, name in enumerate("abcd")
)
PAIRS: dict[str, tuple[Weighting, Callable[[Tensor], Tensor] | None]] = {
    "mgda (built in)": (MGDA(), None),
    "torchjd/upgrad": (UpGrad(), aggregation.UPGradWeighting()),
    "torchjd/dual-proj": (DualProj(), aggregation.DualProjWeighting()),
    "torchjd/pcd": (Pcd(), aggregation.PCDWeighting()),
    "torchjd/krum": (Krum(), aggregation.KrumWeighting(1)),
    "torchjd/config": (ConFig(), aggregation.ConFIG()),
    "torchjd/graddrop": (GradDrop(), aggregation.GradDrop()),
    "torchjd/trimmed-mean": (TrimmedMean(), aggregation.TrimmedMean(1)),
}


def median(calls: int, *works: Callable[[], object]) -> list[float]:
    """The median microseconds of each of several works, whose calls take turns."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(calls):
        for work, found in zip(works, taken, strict=True):
            start = time.process_time()
            work()
            found.append(1e6 * (time.process_time() - start))
    return [statistics.median(found) for found in taken]


def main() -> None:
    """Print a line for each weighting."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    # two of the four conflict
    jacobian = torch.randn(TASKS, FEATURES, generator=generator)
    jacobian[1] -= 0.5 * jacobian[0]
    stats = UpdateStats(torch.ones(TASKS), torch.arange(TASKS))
    gramian = jacobian.double() @ jacobian.double().T
    sys.stdout.write(f"{'':20} {'mtlkit':>8} {'TorchJD':>8}  us a call\n")
    for name, (config, theirs) in PAIRS.items():
        ours = config.build(TERMS, FEATURES)
        seen = jacobian if isinstance(ours, JacobianWeighting) else gramian
        works: list[Callable[[], object]] = [lambda ours=ours, seen=seen: ours(seen, stats)]
        if theirs is not None:
            works.append(lambda theirs=theirs, seen=seen: theirs(seen))
        median(20, *works)  # warms up
        shown = "".join(f" {value:8.0f}" for value in median(500, *works))
        sys.stdout.write(f"{name:20}{shown}\n")


if __name__ == "__main__":
    main()
