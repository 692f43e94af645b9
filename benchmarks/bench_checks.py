"""Cost of the checks at resume and of checksums, as fractions of a run and of a checkpoint.

    python benchmarks/bench_checks.py

The run is a table of 5,000 rows for 20 epochs, stopped half way and resumed; the checkpoints hold
256 MiB of weights and optimizer state. The targets are 1% and 2%.
"""

import csv
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import torch

from mtlkit import Recipe, fit, resume
from mtlkit.backbones import MLP
from mtlkit.checksums import RunningChecksum
from mtlkit.data import Loading, Table
from mtlkit.errors import InterruptedRunError
from mtlkit.heads import Regression
from mtlkit.recipe import Train
from mtlkit.runs import execution
from mtlkit.runs import fit as runs
from mtlkit.task import Task
from mtlkit.training import checkpoint
from mtlkit.training.optimization.optimizer_state import OptimizerState
from mtlkit.training.update import Updater

ROWS, EPOCHS, RUNS, CHECKPOINTS = 5_000, 20, 3, 7
CHECKS = (
    (runs, ("read_provenance", "provenance_of", "check_start")),
    (execution, ("check_data", "check_logs")),
)
"""Functions by the module that calls them."""


class Timer:
    """Sums the seconds spent in wrapped functions."""

    def __init__(self):
        self.seconds = 0.0

    def around(self, function):
        def timed(*arguments, **options):
            before = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - before

        return timed


def recipe(folder):
    random.seed(0)
    with (folder / "points.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["x", "y", "side", "height"])
        for _ in range(ROWS):
            x, y = random.gauss(0, 1), random.gauss(0, 1)
            table.writerow([x, y, "left" if x < 0 else "right", 10 * y - x])
    return Recipe(
        data=Table(file=folder / "points.csv", labels=("side", "height"), numeric=("height",)),
        backbone=MLP(hidden=(64, 64)),
        tasks={"side": Task(), "height": Task(head=Regression())},
        train=Train(epochs=EPOCHS, threads=1, device="cpu"),
    )


def stopped(folder):
    """Run half of the recipe in `folder`; return its seconds."""
    steps = ROWS * 8 // 10 // 64 * EPOCHS // 2
    plain = Updater.update

    def update(self, step, stop_request):
        if step == steps:
            raise KeyboardInterrupt
        return plain(self, step, stop_request)

    before = time.perf_counter()
    with patch.object(Updater, "update", update):
        try:
            fit(recipe(folder), folder / "run", loading=Loading(), quiet=True)
        except InterruptedRunError:
            return time.perf_counter() - before
    raise AssertionError("the run was not stopped")


def resumed(folder):
    """Resume the run; return its seconds and those of the checks."""
    timer = Timer()
    with ExitStack() as stack:
        for module, names in (*CHECKS, (checkpoint, ("file_checksum",))):
            for name in names:
                timed = timer.around(getattr(module, name))
                stack.enter_context(patch.object(module, name, timed))
        before = time.perf_counter()
        resume(folder / "run", quiet=True)
        return time.perf_counter() - before, timer.seconds


def saved(folder):
    """Write a checkpoint; return its seconds and those of checksums."""
    weights = {f"w{i}": torch.randn(1024, 1024) for i in range(32)}
    state = checkpoint.Checkpoint(
        step=1, model=weights, weighting={}, optimizer=OptimizerState(weights, {}), progress={}
    )
    timer = Timer()
    with patch.object(RunningChecksum, "add", timer.around(RunningChecksum.add)):
        before = time.perf_counter()
        checkpoint.save_checkpoint(folder, state)
        return time.perf_counter() - before, timer.seconds


def main():
    run, save = [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            first = stopped(Path(name))
            rest, checks = resumed(Path(name))
            run.append((first + rest, checks))
    for _ in range(CHECKPOINTS):
        with tempfile.TemporaryDirectory() as name:
            save.append(saved(Path(name)))
    print("| what | cost | fraction | target |\n|---|---|---|---|")
    for title, pairs, target in (("checks at resume", run, 1), ("checksums", save, 2)):
        share = statistics.median(100 * part / whole for whole, part in pairs)
        whole, part = (statistics.median(values) for values in zip(*pairs, strict=True))
        print(
            f"| {title} | {part * 1e3:.1f} ms of {whole:.2f} s | {share:.2f}% | at most {target}% |"
        )


if __name__ == "__main__":
    main()
