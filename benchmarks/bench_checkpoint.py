"""Measure the memory and the time of saving a checkpoint of a large model.

    python benchmarks/bench_checkpoint.py [--mib 1024]

A model of the given size is trained by one update and saved: an MLP with AdamW in one process, and
a margin head with momentum, whose classes two processes divide over gloo. Memory is the peak of the
resident size during the save above that before it, of the largest process; this needs Linux. The
target is a tenth of the model.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from bench_sharded_head import Vectors, resident

from mtlkit import Task
from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP
from mtlkit.data import Loading
from mtlkit.heads import Margin
from mtlkit.model import assemble
from mtlkit.optim import SGD, AdamW
from mtlkit.recipe import Recipe, Train
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.loop import Training
from mtlkit.training.progress import Silence
from mtlkit.training.throughput import peak_memory

CPU = torch.device("cpu")
CASES = {"MLP, AdamW": 1, "divided head, momentum": 2}
"""The number of processes of each case."""


def recipe_of(case: str, mib: int) -> Recipe:
    """Return a recipe whose model has about `mib` MiB."""
    floats = mib * 2**18
    if case == "MLP, AdamW":
        width = int(floats**0.5)
        return Recipe(
            data=Vectors(classes=64, width=16),
            backbone=MLP(hidden=(width, width)),
            tasks={"who": Task()},
            optimizer=AdamW(),
            train=Train(batch=4, steps=2, threads=1, device="cpu", loggers=()),
        )
    return Recipe(
        data=Vectors(classes=floats // 128, width=128),
        backbone=MLP(hidden=(128,)),
        tasks={"who": Task(head=Margin(shard=True, sample=0.01, lazy=True))},
        optimizer=SGD(momentum=0.9),
        train=Train(batch=4, steps=2, threads=1, device="cpu", loggers=()),
    )


def measure(case: str, ranks: Ranks, mib: int) -> dict[str, float]:
    """Train an update and save; return MiB of the checkpoint, and MiB and seconds of the save."""
    recipe = recipe_of(case, mib)
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    targets = {"train": encode_targets(data.train, recipe.tasks, assembly)}
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    weighting = recipe.weighting.build(model.terms, model.router.features.width)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(ranks.texts(name, CPU)[0])
        context = TrainingContext(
            recipe=recipe, data=data, targets=targets, folder=folder,
            checkpoints=folder / "checkpoints", device=CPU, ranks=ranks, progress=Silence(),
        )  # fmt: skip
        training = Training(model, weighting, context)
        training.updater.update(0)
        training.step = 1
        ranks.wait()
        Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the update
        before, start = resident(), time.perf_counter()
        training._save()
        seconds = time.perf_counter() - start
        peak = peak_memory(CPU)
        ranks.wait()
        files = (folder / "checkpoints").rglob("*.safetensors")
        size = sum(path.stat().st_size for path in files)
        ranks.wait()
    return {"size": size / 2**20, "peak": (peak - before) / 2**20, "seconds": seconds}


def work(options: argparse.Namespace) -> None:
    """Be one process of a case, and print its figures."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.world > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{options.store}", rank=options.rank,
            world_size=options.world, timeout=timedelta(minutes=30),
        )  # fmt: skip
    print(json.dumps(measure(options.case, Ranks(options.rank, options.world), options.mib)))


def run(case: str, world: int, mib: int) -> dict[str, float]:
    """Return the largest figures of the processes of a case."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, __file__, "--case", case, "--world", str(world), "--mib", str(mib),
            "--store", f"{folder}/store",
        ]  # fmt: skip
        processes = [
            subprocess.Popen(
                [*command, "--rank", str(rank)],
                stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            for rank in range(world)
        ]  # fmt: skip
        outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit(f"{case}: a process failed")
    figures = [json.loads(output.splitlines()[-1]) for output in outputs]
    return {key: max(figure[key] for figure in figures) for key in figures[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024)
    for name, kind in (("case", str), ("rank", int), ("world", int), ("store", str)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.world:
        work(options)
        return
    print("| model | processes | checkpoint, MiB | save, MiB | of the model | seconds |")
    print("|---|---|---|---|---|---|")
    for case, world in CASES.items():
        figures = run(case, world, options.mib)
        print(
            f"| {case} | {world} | {figures['size']:,.0f} | {figures['peak']:,.0f} | "
            f"{figures['peak'] / options.mib:.3f} | {figures['seconds']:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
