"""Measure weightings of 2 to 100 tasks: the solvers alone, and whole steps of a small CNN.

    python benchmarks/bench_many_tasks.py [--pairs 10] [--out FOLDER]

A solver gets the Gramian of random gradients; its time is the lower quartile of 15 calls. Steps of
a weighting and of the plain sum (`equal`) alternate in one process, as in `bench_weightings.py`;
half of the tasks are classifications of 10 classes, the others are regressions.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import attrs
import torch

from mtlkit.heads import Regression
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.weightings import (
    GLS,
    MGDA,
    CAGrad,
    FairGrad,
    GradVac,
    NashMTL,
    PCGrad,
    STCHLog,
    Uncertainty,
    UpdateStats,
)

COUNTS = (2, 4, 10, 40, 100)
STEP_COUNTS = (4, 10, 40)
SOLVERS = {
    "mgda": MGDA(), "cagrad": CAGrad(), "nash-mtl": NashMTL(), "fairgrad": FairGrad(alpha=2.0),
    "pcgrad": PCGrad(), "gradvac": GradVac(),
}  # fmt: skip
WEIGHTINGS = {"uncertainty": Uncertainty(), "gls": GLS(), "stch-log": STCHLog(), **SOLVERS}

_spec = importlib.util.spec_from_file_location(
    "bench_weightings", Path(__file__).with_name("bench_weightings.py")
)
bench = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bench)


def solver_time(config, tasks):
    """Return the time of one call in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    jacobian = torch.randn(tasks, 300, generator=generator, dtype=torch.float64) + 0.1
    gramian, stats = jacobian @ jacobian.T, UpdateStats(torch.ones(tasks), torch.arange(tasks))
    module = config.build(tuple(range(tasks)), 4)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        module(gramian, stats)
        times.append(time.perf_counter() - start)
    return sorted(times)[3] * 1e3


def recipe_of(tasks):
    """Return the recipe of the small CNN with this many tasks."""
    classes = {f"kind{number}": 10 for number in range(tasks // 2)}
    numbers = tuple(f"size{number}" for number in range(tasks - len(classes)))
    bench.CLASSES, bench.NUMBERS = classes, numbers
    roles = {name: Role.SIDE if place else Role.MAIN for place, name in enumerate(classes)}
    heads = {name: Task(head=Regression()) for name in numbers}
    return attrs.evolve(
        bench.NETWORKS["conv"], tasks={n: Task(role=role) for n, role in roles.items()} | heads
    )


def step_ratio(recipe, config, base, pairs):
    """Return the median ratio of a step to one of the plain sum."""
    update = bench.updater(attrs.evolve(recipe, weighting=config)).update
    return bench.paired(update, base, pairs)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--out", type=Path, help="a folder for many-tasks.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["# Many tasks", ""]
    lines += [f"- {key}: {value}" for key, value in bench.facts().items()]
    heads = " | ".join(f"T = {tasks}" for tasks in COUNTS)
    lines += ["", "Solver alone, in ms for T tasks:", "",
              f"| weighting | {heads} |", "|---|" + "---|" * len(COUNTS)]  # fmt: skip
    for name, config in SOLVERS.items():
        times = " | ".join(f"{solver_time(config, tasks):.2f}" for tasks in COUNTS)
        lines.append(f"| {name} | {times} |")
        print(lines[-1], flush=True)
    heads = " | ".join(f"T = {tasks}" for tasks in STEP_COUNTS)
    lines += ["", f"A step relative to the plain sum (CNN, batch 32, CPU, {options.pairs} pairs):",
              "", f"| weighting | {heads} |", "|---|" + "---|" * len(STEP_COUNTS)]  # fmt: skip
    ratios = {name: [] for name in WEIGHTINGS}
    for tasks in STEP_COUNTS:
        recipe = recipe_of(tasks)
        base = bench.updater(recipe).update
        for name, config in WEIGHTINGS.items():
            ratios[name].append(step_ratio(recipe, config, base, options.pairs))
            print(tasks, name, f"{ratios[name][-1]:.2f}", flush=True)
    for name, row in ratios.items():
        lines.append(f"| {name} | {' | '.join(f'{ratio:.2f}' for ratio in row)} |")
    lines += ["", "`python benchmarks/bench_many_tasks.py` prints and writes this."]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "many-tasks.md").write_text(text)


if __name__ == "__main__":
    main()
