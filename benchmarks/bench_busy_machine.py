"""Training speed next to busy processes, by threads and by the spin count of OpenMP.

    python benchmarks/bench_busy_machine.py [--seconds 4] [--repeats 3]
    python benchmarks/bench_busy_machine.py --alone ROUNDS [--spin 30000]

Each cell is a process that trains a small CNN; its neighbors are loops that never sleep. The cells
are interleaved, and the table shows medians of samples per second. `auto` is `train.threads: auto`.

With `--alone`, each round starts four processes with a thread for each core: two with OpenMP's spin
count, two with that of `--spin`. They train one after another, 25 times 40 updates each in random
order; the others sleep. A process has the median of its ratios to the first one. Printed are the
medians over the rounds of the two settings' ratio, with a 95 % interval (bootstrap of rounds), and
of the two processes with OpenMP's setting, whose interval is the resolution of the measurement.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict

NEIGHBORS = (0, 1, 2)
BATCH = 64
CELLS = (("2", None), ("2", "30000"), ("2", "0"), ("1", "30000"), ("auto", "30000"))
"""Threads, and GOMP_SPINCOUNT; None leaves the default of OpenMP."""


TURNS, UPDATES = 25, 40
"""Of a process in a round of `--alone`."""


def small_cnn(threads):
    """Return the updater of a small CNN, after one update, and its number of threads."""
    import attrs
    import torch

    from mtlkit.backbones import CasiaNet
    from mtlkit.testing.small_data import SmallData, small_recipe, small_updater
    from mtlkit.training.devices.cores import available_cores, free_threads

    chosen = free_threads(available_cores()) if threads == "auto" else int(threads)
    torch.set_num_threads(chosen)
    recipe = attrs.evolve(
        small_recipe(),
        data=SmallData(samples=256),
        backbone=CasiaNet(width=0.25),
        train=attrs.evolve(small_recipe().train, batch=BATCH, threads=chosen, log_every=1000),
    )
    updater = small_updater(recipe)
    updater.update(0)
    return updater, chosen


def train(threads, seconds):
    """Print the samples per second of updates during `seconds`, and the number of threads."""
    updater, chosen = small_cnn(threads)
    start, step = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step += 1
        updater.update(step)
    print(step * BATCH / (time.perf_counter() - start), chosen)


def train_in_turns(threads):
    """Print the seconds of the next `UPDATES` updates after each line of standard input."""
    updater, _ = small_cnn(threads)
    print("ready", flush=True)
    for turn, _ in enumerate(sys.stdin):
        start = time.perf_counter()
        for step in range(turn * UPDATES, (turn + 1) * UPDATES):
            updater.update(step + 1)
        print(time.perf_counter() - start, flush=True)


def environment(spin):
    """Return this process's environment with the spin count `spin`; None leaves OpenMP's."""
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")}
    return env if spin is None else env | {"GOMP_SPINCOUNT": spin}


def cell(threads, spin, neighbors, seconds):
    """Return the samples per second, and threads, of a new process next to busy ones."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbors)]
    command = [sys.executable, __file__, "--train", threads, "--seconds", str(seconds)]
    try:
        done = subprocess.run(
            command, env=environment(spin), capture_output=True, text=True, check=True
        )
    finally:
        for process in busy:
            process.kill()
            process.wait()
    rate, chosen = done.stdout.split()
    return float(rate), int(chosen)


def in_turns(threads, spins, draw):
    """Return, for a new process of each of `spins`, the seconds of each of its turns."""
    command = [sys.executable, __file__, "--train-in-turns", threads]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        processes = []
        for spin in spins:
            process = subprocess.Popen(command, env=environment(spin), **pipes)
            processes.append(stack.enter_context(process))
            process.stdout.readline()
        seconds = [[] for _ in spins]
        for _ in range(TURNS):
            for index in draw.sample(range(len(spins)), len(spins)):
                print("next", file=processes[index].stdin, flush=True)
                seconds[index].append(float(processes[index].stdout.readline()))
    return seconds


def interval(ratios):
    """Return the median of `ratios` and the bounds of its 95 % interval, as text."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(10_000))
    return f"{statistics.median(ratios):.3f} ({medians[250]:.3f} to {medians[-251]:.3f})"


def alone(rounds, spin):
    """Print the ratio of the speed with `spin` to that with OpenMP's spin count, without load."""
    threads = str(len(os.sched_getaffinity(0)))
    ratios, draw = defaultdict(list), random.Random(0)
    for number in range(1, rounds + 1):
        first, *others = in_turns(threads, (None, None, spin, spin), draw)
        default, new, again = (
            statistics.median(a / b for a, b in zip(first, other, strict=True)) for other in others
        )
        ratios[f"{spin} to default"].append((new + again) / (1 + default))
        ratios["default to default"].append(default)
        latest = ", ".join(f"{values[-1]:.3f}" for values in ratios.values())
        print(f"round {number} of {rounds}: {latest}", flush=True)
    print(f"{threads} threads, load before and after: {os.getloadavg()}")
    for name, values in ratios.items():
        print(f"samples/s, {name}: {interval(values)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", type=int, metavar="ROUNDS")
    parser.add_argument("--spin", default="30000")
    parser.add_argument("--train", metavar="THREADS")
    parser.add_argument("--train-in-turns", metavar="THREADS")
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train, arguments.seconds)
    if arguments.train_in_turns:
        return train_in_turns(arguments.train_in_turns)
    if arguments.alone:
        return alone(arguments.alone, arguments.spin)
    results = defaultdict(list)
    for _ in range(arguments.repeats):
        for neighbors in NEIGHBORS:
            for threads, spin in CELLS:
                results[neighbors, threads, spin].append(
                    cell(threads, spin, neighbors, arguments.seconds)
                )
    print(f"load before and after: {os.getloadavg()}")
    print("| threads | GOMP_SPINCOUNT | 0 busy | 1 busy | 2 busy |\n|---|---|---:|---:|---:|")
    for threads, spin in CELLS:
        row = []
        for neighbors in NEIGHBORS:
            rates, chosen = zip(*results[neighbors, threads, spin], strict=True)
            used = f" ({'/'.join(map(str, chosen))} threads)" if threads == "auto" else ""
            row.append(f"{statistics.median(rates):.0f}{used}")
        print(f"| {threads} | {spin or 'default'} | {' | '.join(row)} |")
    return None


if __name__ == "__main__":
    main()
