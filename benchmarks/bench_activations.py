"""Measure memory and time of `train.checkpoint_activations`.

Run: python benchmarks/bench_activations.py
Each row trains in a separate process; memory is its peak above that before the first update.
"""

import argparse
import json
import subprocess
import sys
import time

BACKBONES = {
    "resnet18": ("timm", {"model": "resnet18"}),
    "vit_tiny_patch16_224": ("timm", {"model": "vit_tiny_patch16_224"}),
    "casia-net": ("casia-net", {}),
}


def measure(name: str, recomputed: bool, size: int, batch: int) -> dict[str, float]:
    import attrs
    import torch

    from mtlkit.data.dataset import Categorical, Data, Split
    from mtlkit.plugins.catalog import load_catalog
    from mtlkit.task import Task
    from mtlkit.testing.small_data import small_recipe, small_updater
    from mtlkit.training.throughput import peak_memory

    torch.set_num_threads(1)
    catalog = load_catalog("none")
    kind, options = BACKBONES[name]
    recipe = small_recipe()

    @attrs.frozen(kw_only=True)
    class Random(type(recipe.data)):
        def load(self, loading):
            inputs = torch.randint(0, 256, (2 * batch, 3, size, size), dtype=torch.uint8)
            labels = torch.arange(2 * batch) % 2
            columns = {task: Categorical(labels, ("a", "b")) for task in ("kind", "side")}
            split = Split(inputs=inputs, columns=columns, ids=[str(n) for n in range(2 * batch)])
            return Data(train=split)

    train = attrs.evolve(
        recipe.train, batch=batch, checkpoint_activations=recomputed, watch=False, device="cpu"
    )
    recipe = attrs.evolve(
        recipe,
        data=Random(),
        tasks={"kind": Task(), "side": Task()},
        backbone=catalog.backbones.get(kind)(**options),
        train=train,
    )
    updater = small_updater(recipe)
    before = peak_memory(torch.device("cpu"))
    times = []
    for step in range(3):
        start = time.process_time()
        updater.update(step)
        times.append(time.process_time() - start)
    peak = peak_memory(torch.device("cpu"))
    return {"MiB": (peak - before) / 2**20, "seconds": min(times)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--one", nargs=2)
    arguments = parser.parse_args()
    if arguments.one:
        name, recomputed = arguments.one
        print(json.dumps(measure(name, recomputed == "True", arguments.size, arguments.batch)))
        return
    print("| backbone | memory | recomputed | CPU seconds | recomputed |\n|---|---|---|---|---|")
    for name in BACKBONES:
        rows = []
        for recomputed in (False, True):
            command = [sys.executable, __file__, "--one", name, str(recomputed)]
            command += ["--size", str(arguments.size), "--batch", str(arguments.batch)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
        plain, less = rows
        print(
            f"| {name} | {plain['MiB']:.0f} MiB | {less['MiB']:.0f} MiB | {plain['seconds']:.2f} s "
            f"| {less['seconds']:.2f} s |",
            flush=True,
        )


if __name__ == "__main__":
    main()
