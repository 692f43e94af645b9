"""Training speed next to busy processes, by threads and by the spin count of OpenMP.

    python benchmarks/bench_busy_machine.py [--seconds 4] [--repeats 3]
    python benchmarks/bench_busy_machine.py --alone ROUNDS [--seconds 4] [--spin 10000]

Each cell is a process that trains a small CNN; its neighbors are loops that never sleep. The cells
are interleaved, and the table shows medians of samples per second. `auto` is `train.threads: auto`.

With `--alone`, each round has four new processes on the same cores: OpenMP's spin count, that of
`--spin` twice, and OpenMP's again, all with a thread for each core. It prints the median ratio of
the two settings in a round, with a 95 % interval (bootstrap of rounds), and the ratio of the two
processes with OpenMP's setting, whose interval is the resolution of the measurement.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict

NEIGHBORS = (0, 1, 2)
CELLS = (("2", None), ("2", "10000"), ("2", "0"), ("1", "10000"), ("auto", "10000"))
"""Threads, and GOMP_SPINCOUNT; None leaves the default of OpenMP."""


def train(threads, seconds):
    """Print the samples per second of updates during `seconds`."""
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
        train=attrs.evolve(small_recipe().train, batch=64, threads=chosen, log_every=1000),
    )
    updater = small_updater(recipe)
    updater.update(0)
    start, cpu, step = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < seconds:
        step += 1
        updater.update(step)
    elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(step * 64 / elapsed, step * 64 / cpu, chosen)


def cell(threads, spin, neighbors, seconds):
    """Return samples per second, per CPU second, and threads of a new process next to busy ones."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(neighbors)]
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_NUM_THREADS")}
    if spin is not None:
        env["GOMP_SPINCOUNT"] = spin
    command = [sys.executable, __file__, "--train", threads, "--seconds", str(seconds)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    rate, per_cpu, chosen = done.stdout.split()
    return float(rate), float(per_cpu), int(chosen)


def interval(ratios):
    """Return the median of `ratios` and the bounds of its 95 % interval, as text."""
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(ratios, k=len(ratios))) for _ in range(10_000))
    return f"{statistics.median(ratios):.3f} ({medians[250]:.3f} to {medians[-251]:.3f})"


def alone(rounds, seconds, spin):
    """Print the ratio of the speed with `spin` to that with OpenMP's spin count, without load."""
    threads = str(len(os.sched_getaffinity(0)))
    ratios = defaultdict(list)
    for number in range(1, rounds + 1):
        one, new, again, other = (
            cell(threads, setting, 0, seconds) for setting in (None, spin, spin, None)
        )
        for column, name in enumerate(("samples/s", "samples per CPU second")):
            settings = (new[column] + again[column]) / (one[column] + other[column])
            ratios[f"{name}, {spin} to default"].append(settings)
            ratios[f"{name}, default to default"].append(other[column] / one[column])
        print(f"round {number} of {rounds}: " + ", ".join(f"{r[-1]:.3f}" for r in ratios.values()))
    print(f"{threads} threads, load before and after: {os.getloadavg()}")
    for name, values in ratios.items():
        print(f"{name}: {interval(values)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", type=int, metavar="ROUNDS")
    parser.add_argument("--spin", default="10000")
    parser.add_argument("--train", metavar="THREADS")
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train, arguments.seconds)
    if arguments.alone:
        return alone(arguments.alone, arguments.seconds, arguments.spin)
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
            rates, _, chosen = zip(*results[neighbors, threads, spin], strict=True)
            used = f" ({'/'.join(map(str, chosen))} threads)" if threads == "auto" else ""
            row.append(f"{statistics.median(rates):.0f}{used}")
        print(f"| {threads} | {spin or 'default'} | {' | '.join(row)} |")
    return None


if __name__ == "__main__":
    main()
