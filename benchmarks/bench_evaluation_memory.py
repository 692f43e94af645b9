"""Measure the memory of an evaluation of dense predictions, against that of one batch.

    python benchmarks/bench_evaluation_memory.py [--samples 2000] [--side 64] [--batch 64]

A small U-Net with a class, a depth and a normal of each pixel is evaluated by the metrics of its
tasks and the pictures of the report, once for a single batch and once for all samples, each in a
separate process. Inputs and labels are drawn when they are read. The peak is the resident size
that the evaluation adds to that of the network and the imports, with an allocator that returns
freed tensors to the system at once.
"""

import argparse
import os
import subprocess
import sys

import attrs
import torch
from torch import Tensor

from mtlkit import Task
from mtlkit.assembly import assembly_of
from mtlkit.backbones import UNet
from mtlkit.data import ClassMapTarget, Data, Labels, RealMapTarget, Split, UnitVectorMapTarget
from mtlkit.evaluators import Pictures, TaskMetrics
from mtlkit.evaluators.trained_model import TrainedModel
from mtlkit.heads import DenseRegression, Normals, Segmentation
from mtlkit.model import assemble
from mtlkit.routers import Shared
from mtlkit.targets.rows import Rows
from mtlkit.training.throughput import peak_memory

TASKS = {
    "part": Task(head=Segmentation()),
    "depth": Task(head=DenseRegression()),
    "normal": Task(head=Normals()),
}
CLASSES = 10


@attrs.frozen(eq=False)
class Drawn:
    """Tensors (N, ...) of a kind, drawn for each index."""

    kind: str
    count: int
    side: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Tensor, /) -> Tensor:
        generator = torch.Generator().manual_seed(int(index[0]))
        shape = (len(index), self.side, self.side)
        if self.kind == "part":
            return torch.randint(CLASSES, shape, generator=generator)
        if self.kind == "image":
            wide = (len(index), 3, self.side, self.side)
            return torch.randint(256, wide, generator=generator, dtype=torch.uint8)
        values = torch.rand(len(index), 3, self.side, self.side, generator=generator)
        return values[:, :1] + 1 if self.kind == "depth" else torch.nn.functional.normalize(values)


def data(samples: int, side: int) -> Data:
    """Return the same drawn samples for training and test."""
    targets = {
        "part": ClassMapTarget(names=tuple(map(str, range(CLASSES)))),
        "depth": RealMapTarget(),
        "normal": UnitVectorMapTarget(),
    }

    def split(count: int) -> Split:
        columns: dict[str, Labels] = {}
        for name, target in targets.items():
            rows: Rows = Drawn(name, count, side)
            columns[name] = Labels(target, rows)
        inputs = Drawn("image", count, side)
        return Split(inputs=inputs, columns=columns, ids=[str(n) for n in range(count)])

    return Data(train=split(1), test=split(samples))


def peak(samples: int, side: int, batch: int) -> tuple[float, float]:
    """Return the megabytes before an evaluation, and those that it adds at its peak."""
    torch.set_num_threads(1)
    dataset = data(samples, side)
    model = assemble(
        UNet(channels=8, depth=2), Shared(), TASKS, assembly_of(dataset, TASKS)
    )  # small, so that what is kept would show
    trained = TrainedModel(model, dataset, TASKS, torch.device("cpu"), batch=batch)
    before = peak_memory(torch.device("cpu"))
    for evaluator in (TaskMetrics(), Pictures()):
        evaluator.evaluate(trained)
    after = peak_memory(torch.device("cpu"))
    return before / 2**20, (after - before) / 2**20


def main() -> None:
    """Print a table of both evaluations and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--one", action="store_true", help="measure in this process")
    options = parser.parse_args()
    if options.one:
        print(*peak(options.samples, options.side, options.batch))
        return
    added = {}
    for samples in (options.batch, options.samples):
        arguments = ["--side", options.side, "--batch", options.batch, "--samples", samples]
        command = [sys.executable, __file__, "--one", *map(str, arguments)]
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
        answer = subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment
        ).stdout
        before, more = map(float, answer.split())
        added[samples] = more
        print(f"{samples:6d} samples: {before:6.0f} MB before, {more:6.0f} MB more at the peak")
    print(f"ratio of what is added: {added[options.samples] / added[options.batch]:.3f}")


if __name__ == "__main__":
    main()
