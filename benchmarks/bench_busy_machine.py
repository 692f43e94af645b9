"""Training speed next to busy processes, by threads and by the spin count of OpenMP.

    python benchmarks/bench_busy_machine.py [--seconds 4] [--repeats 3]

Each cell is a process that trains a small CNN; its neighbors are loops that never sleep. The cells
are interleaved, and the table shows medians of samples per second. `auto` is `train.threads: auto`.
"""

import argparse
import os
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
    start, step = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step += 1
        updater.update(step)
    print(step * 64 / (time.perf_counter() - start), chosen)


def cell(threads, spin, neighbors, seconds):
    """Return samples per second and the threads of a new process next to busy ones."""
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
    rate, chosen = done.stdout.split()
    return float(rate), int(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--train", metavar="THREADS")
    arguments = parser.parse_args()
    if arguments.train:
        return train(arguments.train, arguments.seconds)
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
