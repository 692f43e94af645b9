"""Measure weightings of 2 to 100 tasks: the solvers alone, and whole steps of a small CNN.

    python benchmarks/bench_many_tasks.py [--pairs 10] [--every] [--out FOLDER]

A solver gets the Gramian of random gradients; its time is the lower quartile of 15 calls. Steps of
a weighting and of the plain sum (`equal`) alternate in one process, as in `bench_weightings.py`;
half of the tasks are classifications of 10 classes, the others are regressions.

With `--every`, the steps of every weighting of losses and of every weighting of the Gramian at the
features are measured for 40 and 100 tasks, and written to `every-weighting.md`. Targets: at most
1.05 and 1.2 of the plain sum.
"""

import argparse
import importlib.util
import time
from pathlib import Path

import attrs
import torch

from mtlkit.heads import Regression
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import Role
from mtlkit.weightings import (
    EPO,
    GLS,
    MGDA,
    CAGrad,
    DoubleSampling,
    FairGrad,
    Fixed,
    GradientLocation,
    GradVac,
    GramianWeighting,
    LossWeighting,
    NashMTL,
    PCGrad,
    STCHLog,
    Uncertainty,
    UpdateStats,
)

FEATURES = GradientLocation.FEATURES
COUNTS = (2, 4, 10, 40, 100)
STEP_COUNTS = (4, 10, 40)
EVERY_COUNTS = (40, 100)
SOLVERS = {
    "mgda": MGDA(), "cagrad": CAGrad(), "epo": EPO(), "nash-mtl": NashMTL(),
    "fairgrad": FairGrad(alpha=2.0), "pcgrad": PCGrad(), "gradvac": GradVac(),
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
    module = config.build(loss_terms(recipe_of(tasks).tasks), 4)
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


def kinds_of_weightings():
    """Return every weighting of losses, and every one of the Gramian at the features, by name."""
    kinds = {"losses": {}, "Gramian": {}}
    terms = loss_terms(recipe_of(4).tasks)
    for name, config in bench.weightings().items():
        if isinstance(config, Fixed) or getattr(config, "at", FEATURES) is not FEATURES:
            continue  # Fixed names tasks; other locations need more backward passes
        module = config.build(terms, 320)
        if isinstance(module, LossWeighting):
            kinds["losses"][name] = config
        elif isinstance(module, GramianWeighting) and not isinstance(module, DoubleSampling):
            kinds["Gramian"][name] = config
    return kinds


def measure_every(pairs):
    """Return the lines of a table of every weighting, as ratios to a step of the plain sum."""
    kinds = kinds_of_weightings()
    ratios = {(kind, name): [] for kind, named in kinds.items() for name in named}
    for tasks in EVERY_COUNTS:
        recipe = recipe_of(tasks)
        base = bench.updater(recipe).update
        for kind, named in kinds.items():
            for name, config in named.items():
                ratio = step_ratio(recipe, config, base, pairs)
                ratios[kind, name].append(ratio)
                print(tasks, kind, name, f"{ratio:.2f}", flush=True)
    heads = " | ".join(f"T = {tasks}" for tasks in EVERY_COUNTS)
    lines = ["# Every weighting of many tasks", ""]
    lines += [f"- {key}: {value}" for key, value in bench.facts().items()]
    lines += [
        "",
        f"A step relative to the plain sum (CNN, batch 32, {pairs} pairs, CPU time), for",
        "weightings of losses and of the Gramian at the features:",
        "",
        f"| weighting | of | {heads} |",
        "|---|---|" + "---|" * len(EVERY_COUNTS),
    ]
    for (kind, name), row in ratios.items():
        lines.append(f"| {name} | {kind} | {' | '.join(f'{ratio:.2f}' for ratio in row)} |")
    return [
        *lines,
        "",
        "The plain sum against itself (`equal`) shows the noise. `famo` computes the losses again",
        "after each update, a second forward pass.",
        "",
        "`python benchmarks/bench_many_tasks.py --every` prints and writes this.",
    ]


def write(lines, folder, name):
    """Print `lines`, and write them to the file `name` in `folder` if there is one."""
    text = "\n".join(lines) + "\n"
    print(text)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--out", type=Path, help="a folder for many-tasks.md")
    parser.add_argument("--every", action="store_true", help="measure steps of every weighting")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.every:
        write(measure_every(options.pairs), options.out, "every-weighting.md")
        return
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
    write(lines, options.out, "many-tasks.md")


if __name__ == "__main__":
    main()
