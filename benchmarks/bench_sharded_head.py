"""Measure memory and CPU time of training with the classes divided among processes.

    python benchmarks/bench_sharded_head.py [--classes 1000000] [--width 64] [--ranks 1 2 4]

A small network with a margin head is trained by updates of 64 samples, with momentum and weight
decay. Each number of processes is a separate run on this machine over gloo, with one thread each.
CPU seconds are the least of `--updates` updates, of the slowest process; they include the network,
the collective operations and the optimizer, but no waiting. Memory is the peak resident size above
that before the network was built, of the largest process. The fixed cost of an update is that of
100 classes in several processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import attrs
import torch
import torch.distributed as dist

from mtlkit import Task
from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP
from mtlkit.data import Categorical, Data, DataSource, Loading, Split
from mtlkit.heads import Margin
from mtlkit.model import assemble
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Silence
from mtlkit.training.throughput import peak_memory
from mtlkit.training.update import Updater

BATCH = 64
HEADS = {
    "replicated, sample 1": Margin(),
    "replicated, sample 0.1": Margin(sample=0.1),
    "shard, sample 1": Margin(shard=True),
    "shard, sample 0.1": Margin(shard=True, sample=0.1),
    "shard, sample 0.1, lazy": Margin(shard=True, sample=0.1, lazy=True),
}


@attrs.frozen(kw_only=True)
class Vectors(DataSource):
    """Random vectors with an identity each, of `classes`."""

    classes: int
    width: int
    samples: int = 4 * BATCH

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(self.samples, 1, 1, self.width, generator=generator)
        codes = torch.randint(self.classes, (self.samples,), generator=generator)
        names = tuple(map(str, range(self.classes)))
        split = Split(
            inputs=inputs,
            columns={"who": Categorical(codes, names)},
            ids=[f"vector {i}" for i in range(self.samples)],
        )
        return Data(train=split)


def resident() -> int:
    """Return the resident size of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(name: str, ranks: Ranks, classes: int, width: int, updates: int) -> dict[str, float]:
    """Train a few updates; return CPU seconds of the fastest and MiB above the start."""
    recipe = Recipe(
        data=Vectors(classes=classes, width=width),
        backbone=MLP(hidden=(width,)),
        tasks={"who": Task(head=HEADS[name])},
        optimizer=SGD(lr=0.1, momentum=0.9, weight_decay=5e-4),
        train=Train(batch=BATCH, threads=1, device="cpu"),
    )
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    targets = {"train": encode_targets(data.train, recipe.tasks, assembly)}
    context = TrainingContext(
        recipe=recipe, data=data, targets=targets, folder=Path(), checkpoints=Path(),
        device=torch.device("cpu"), ranks=ranks, progress=Silence(),
    )  # fmt: skip
    start = resident()
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    weighting = recipe.weighting.build(model.terms, model.router.features.width)
    updater = Updater(model, weighting, context)
    seconds = []
    for step in range(updates):
        before = time.process_time()
        updater.update(step)
        seconds.append(time.process_time() - before)
    peak = peak_memory(torch.device("cpu"))
    return {"seconds": min(seconds[1:]), "mib": (peak - start) / 2**20}


def work(options: argparse.Namespace) -> None:
    """Be one process of a run, and print its figures."""
    torch.set_num_threads(1)
    if options.world > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{options.store}", rank=options.rank,
            world_size=options.world, timeout=timedelta(minutes=30),
        )  # fmt: skip
    ranks = Ranks(options.rank, options.world)
    # also loads what torch imports late
    fixed = measure(options.head, ranks, 100, options.width, options.updates)["seconds"]
    figures = measure(options.head, ranks, options.classes, options.width, options.updates)
    figures["fixed"] = fixed
    print(json.dumps(figures))


def run(name: str, world: int, options: argparse.Namespace) -> dict[str, float]:
    """Return the largest figures of the processes of a run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, __file__, "--head", name, "--world", str(world),
            "--store", f"{folder}/store", "--classes", str(options.classes),
            "--width", str(options.width), "--updates", str(options.updates),
        ]  # fmt: skip
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        processes = [
            subprocess.Popen(
                [*command, "--rank", str(rank)], stdout=subprocess.PIPE, text=True, env=env
            )
            for rank in range(world)
        ]
        outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{name} on {world} processes failed")
    figures = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {key: max(figure[key] for figure in figures) for key in figures[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--updates", type=int, default=10)
    parser.add_argument("--heads", nargs="+", default=list(HEADS), choices=list(HEADS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--head", help=argparse.SUPPRESS)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--world", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--store", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.world:
        work(options)
        return
    cells = []
    print(
        "| head | processes | CPU s an update | of one | MiB | of one |\n|---|---|---|---|---|---|"
    )
    for name in options.heads:
        one = None
        for world in options.ranks:
            figures = run(name, world, options)
            one = one or figures
            cells.append({"head": name, "ranks": world, **figures})
            print(
                f"| {name} | {world} | {figures['seconds']:.2f} | "
                f"{figures['seconds'] / one['seconds']:.2f} | {figures['mib']:,.0f} | "
                f"{figures['mib'] / one['mib']:.2f} |",
                flush=True,
            )
    if options.json:
        sizes = {"classes": options.classes, "width": options.width, "batch": BATCH}
        several = [cell["fixed"] for cell in cells if cell["ranks"] > 1]
        sizes["fixed"] = statistics.median(several)
        options.json.write_text(json.dumps({**sizes, "cells": cells}, indent=2) + "\n")


if __name__ == "__main__":
    main()
