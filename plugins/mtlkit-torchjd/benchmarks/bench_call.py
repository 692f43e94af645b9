"""Measure the processor time of a call in microseconds: the median of 500, on one thread.

    python benchmarks/bench_call.py

Weights are computed from a 4x4 Gramian, directions from the Jacobian of four gradients at 512
features of 64 samples. The second column is TorchJD's class; the first line is
mtlkit's MGDA.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from mtlkit_torchjd.conflict_free import ConFIG
from mtlkit_torchjd.dual_proj import DualProj
from mtlkit_torchjd.graddrop import GradDrop
from mtlkit_torchjd.krum import Krum
from mtlkit_torchjd.pcd import PCD
from mtlkit_torchjd.trimmed_mean import TrimmedMean
from mtlkit_torchjd.upgrad import UPGrad
from torch import Tensor
from torchjd import aggregation

from mtlkit.plugins import LossTerm, Role
from mtlkit.weightings import MGDA, JacobianWeighting, UpdateStats, Weighting

TASKS, FEATURES = 4, 64 * 512
TERMS = tuple(
    LossTerm(name, name, Role.SIDE if index else Role.MAIN) for index, name in enumerate("abcd")
)
PAIRS: dict[str, tuple[Weighting, Callable[[Tensor], Tensor] | None]] = {
    "mgda (built in)": (MGDA(), None),
    "torchjd/upgrad": (UPGrad(), aggregation.UPGradWeighting()),
    "torchjd/dual-proj": (DualProj(), aggregation.DualProjWeighting()),
    "torchjd/pcd": (PCD(), aggregation.PCDWeighting()),
    "torchjd/krum": (Krum(), aggregation.KrumWeighting(1)),
    "torchjd/config": (ConFIG(), aggregation.ConFIG()),
    "torchjd/graddrop": (GradDrop(), aggregation.GradDrop()),
    "torchjd/trimmed-mean": (TrimmedMean(), aggregation.TrimmedMean(1)),
}


def medians(calls: int, *functions: Callable[[], object]) -> list[float]:
    """Return the median microseconds of each function; their calls are interleaved."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(calls):
        for function, measured in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            measured.append(1e6 * (time.process_time() - start))
    return [statistics.median(measured) for measured in times]


def main() -> None:
    """Print a line for each weighting."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    jacobian = torch.randn(TASKS, FEATURES, generator=generator)
    jacobian[1] -= 0.5 * jacobian[0]  # conflict
    stats = UpdateStats(torch.ones(TASKS), torch.arange(TASKS))
    gramian = jacobian.double() @ jacobian.double().T
    sys.stdout.write(f"{'':20} {'mtlkit':>8} {'TorchJD':>8}  us a call\n")
    for name, (config, theirs) in PAIRS.items():
        ours = config.build(TERMS, FEATURES)
        gradients = jacobian if isinstance(ours, JacobianWeighting) else gramian
        calls: list[Callable[[], object]] = [lambda f=ours, x=gradients: f(x, stats)]
        if theirs is not None:
            calls.append(lambda f=theirs, x=gradients: f(x))
        medians(20, *calls)  # warm up
        shown = "".join(f" {value:8.0f}" for value in medians(500, *calls))
        sys.stdout.write(f"{name:20}{shown}\n")


if __name__ == "__main__":
    main()
