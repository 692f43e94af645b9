"""Cost of the checks at resume and of checksums, as fractions of a run and of a checkpoint.

    python benchmarks/bench_checks.py

The run is a table of 5,000 rows for 20 epochs, stopped half way and resumed. The checkpoints hold
256 MiB or 256 KiB of weights and optimizer state. The targets are 1% and 2%.
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
from mtlkit.data import Loading, Table
from mtlkit.errors import InterruptedRunError
from mtlkit.heads import Regression
from mtlkit.recipe import Train
from mtlkit.runs import execution
from mtlkit.runs import fit as runs
from mtlkit.task import Task
from mtlkit.training import checkpoint, tensor_files
from mtlkit.training.optimization.optimizer_state import OptimizerState
from mtlkit.training.update import Updater

ROWS, EPOCHS, RUNS, CHECKPOINTS = 5_000, 20, 3, 21
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


def saved(folder, weights):
    """Write a checkpoint; return its seconds."""
    state = checkpoint.Checkpoint(
        step=1, model=weights, weighting={}, optimizer=OptimizerState(weights, {}), progress={}
    )
    before = time.perf_counter()
    checkpoint.save_checkpoint(folder, state)
    return time.perf_counter() - before


class NoChecksum:
    """A checksum of nothing, in place of that of tensors."""

    def update(self, part):
        """Read nothing."""

    def hexdigest(self):
        """Return no digits."""
        return ""


def checksum_cost(weights, repetitions):
    """Return pairs of the seconds of a checkpoint, and of its checksums, by turns with and without.

    The first read of memory is part of a checkpoint without checksums, too, so seconds inside the
    function that computes them would count it twice.
    """
    pairs = []
    for number in range(repetitions + 1):  # the first fills caches and does not count
        seconds = {}
        for with_checksums in (True, False) if number % 2 else (False, True):
            with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
                if not with_checksums:
                    skipped = patch.object(tensor_files, "RunningChecksum", NoChecksum)
                    stack.enter_context(skipped)
                seconds[with_checksums] = saved(Path(name), weights)
        pairs.append((seconds[True], seconds[True] - seconds[False]))
    return pairs[1:]


def main():
    run = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            first = stopped(Path(name))
            rest, checks = resumed(Path(name))
            run.append((first + rest, checks))
    large = {f"w{i}": torch.randn(1024, 1024) for i in range(32)}
    small = {f"w{i}": torch.randn(64, 64) for i in range(8)}
    rows = (
        ("checks at resume", run, 1),
        ("checksums of a checkpoint of 256 MiB", checksum_cost(large, CHECKPOINTS), 2),
        ("checksums of a checkpoint of 256 KiB", checksum_cost(small, 10 * CHECKPOINTS), 2),
    )
    print("| what | cost | fraction | target |\n|---|---|---|---|")
    for title, pairs, target in rows:
        share = statistics.median(100 * part / whole for whole, part in pairs)
        whole, part = (statistics.median(values) for values in zip(*pairs, strict=True))
        cost = f"{part * 1e3:.2f} ms of {whole * 1e3:,.0f} ms"
        print(f"| {title} | {cost} | {share:.2f}% | at most {target}% |")


if __name__ == "__main__":
    main()
