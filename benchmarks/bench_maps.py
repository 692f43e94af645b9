"""Time and memory of a training step on maps, by weighting, relative to the plain sum of losses.

A U-Net with 32 channels reads 64x64 images, and three dense heads (13 classes, depth, normals) read
its maps. Steps of all weightings alternate in one process, so that other load affects all of them;
the time is the median of the ratios of pairs, in CPU time of one thread. Peak memory is that of a
separate process for each.

    python benchmarks/bench_maps.py
    python benchmarks/bench_maps.py --profile cagrad
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from mtlkit.assembly import Assembly
from mtlkit.backbones import InputSpecs, UNet
from mtlkit.data import ClassMapTarget, InputSpec, RealMapTarget, UnitVectorMapTarget
from mtlkit.heads import HeadModule
from mtlkit.model import MultiTaskModel, TaskHead
from mtlkit.plugins.catalog import load_catalog
from mtlkit.routers.shared import SharedRouter
from mtlkit.task_types import LossTerm, Role
from mtlkit.training.gradients.batch import MicroBatch, UpdateInfo
from mtlkit.training.gradients.factory import training_step
from mtlkit.weightings import GramianWeighting

LIMIT = 1.1
BATCH = 8
CHANNELS = 32
NAMES = tuple(map(str, range(13)))
TARGETS = {
    "classes": ClassMapTarget(names=NAMES),
    "depth": RealMapTarget(),
    "normals": UnitVectorMapTarget(),
}
OUTPUTS = {"classes": 13, "depth": 1, "normals": 3}


class DenseHead(HeadModule):
    """A 3x3 and a 1x1 convolution, and the mean loss of each image."""

    def __init__(self, task: str) -> None:
        super().__init__()
        self.task = task
        self.layers = nn.Sequential(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(CHANNELS, OUTPUTS[task], 1),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layers(features)

    def loss(self, features: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        outputs = self(features)
        if self.task == "classes":
            return F.cross_entropy(outputs, target, reduction="none").mean(dim=(1, 2))
        if self.task == "depth":
            return (outputs - target).abs().mean(dim=(1, 2, 3))
        return 1 - F.cosine_similarity(outputs, target, dim=1).mean(dim=(1, 2))


def new_step(name):
    """Return a function that makes the gradient of one update with the weighting `name`."""
    torch.manual_seed(0)
    inputs: InputSpecs = InputSpec(shape=(3, 64, 64), mean=(0.0,))
    backbone = UNet(channels=CHANNELS).build(inputs)
    heads = {task: TaskHead(DenseHead(task), None) for task in TARGETS}
    terms = tuple(
        LossTerm(t, t, Role.MAIN if t == "classes" else Role.SIDE, targets=(type(TARGETS[t]),))
        for t in TARGETS
    )
    assembly = Assembly(inputs=inputs, targets=TARGETS)
    model = MultiTaskModel(SharedRouter(backbone), heads, terms, assembly, backbone.context)
    model.to(memory_format=torch.channels_last).train()
    images = torch.randn(BATCH, 3, 64, 64)
    targets = {
        "classes": torch.randint(13, (BATCH, 64, 64)),
        "depth": torch.rand(BATCH, 1, 64, 64),
        "normals": F.normalize(torch.randn(BATCH, 3, 64, 64)),
    }
    config = load_catalog("none").weightings.get(name)()
    step = training_step(model, config.build(terms, backbone.features.width), config)
    counts = model.counts(targets)
    update = UpdateInfo(counts, counts.nonzero().flatten(), complete=True)

    def run():
        model.zero_grad()
        result = step(MicroBatch(images, targets), update)
        result.total.backward()

    return run


def gramian_weightings():
    """Return the names of the weightings that read the Gramian of one draw at the features."""
    registry = load_catalog("none").weightings
    names = []
    for entry in registry:
        config = registry.get(entry.name)
        if not getattr(config, "__abstractmethods__", None) and entry.name not in ("fixed",):
            value = config()
            terms = tuple(LossTerm(t, t, Role.SIDE, targets=()) for t in "abc")
            at = getattr(value, "at", None)
            if at is not None and isinstance(value.build(terms, 4), GramianWeighting):
                names.append((entry.name, at.value))
    return [name for name, at in names if at == "features"]


def kilobytes(field):
    """Return a size of this process, from Linux's status file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def peak(name):
    """Return the peak memory in MB of three steps, the median of three separate processes."""
    command = [sys.executable, __file__, "--peak", name]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(3)]
    return statistics.median(float(run.stdout) for run in runs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    parser.add_argument("--profile", help="print the operators of a step of this weighting")
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--memory", action="store_true", help="measure peak memory as well")
    parser.add_argument("names", nargs="*", help="weightings; all of Gramians by default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.peak:
        run = new_step(options.peak)
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak of Linux
        before = kilobytes("VmRSS")
        for _ in range(3):
            run()
        print((kilobytes("VmHWM") - before) / 1024)
        return
    if options.profile:
        for name in ("equal", options.profile):
            run = new_step(name)
            run()
            with torch.profiler.profile() as profiler:
                run()
            print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=16))
        return
    names = options.names or gramian_weightings()
    steps = {name: new_step(name) for name in ["equal", *names]}
    for run in steps.values():
        run()
    ratios: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.pairs):
        seconds = {}
        for name, run in steps.items():
            start = time.process_time()
            run()
            seconds[name] = time.process_time() - start
        for name in names:
            ratios[name].append(seconds[name] / seconds["equal"])
    base = peak("equal") if options.memory else 0.0
    for name in names:
        memory = f", memory {peak(name) / base:.2f}" if options.memory else ""
        print(f"{name}: time {statistics.median(ratios[name]):.3f}{memory}")


if __name__ == "__main__":
    main()
