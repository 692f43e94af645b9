"""CPU time of an update of the study's small size, by the size of pages of memory.

    python benchmarks/bench_face_step.py [--arms s-cnn,m-cnn,p-cnn-block] [--turns 7]

Two processes, one of them with large pages, train on random images by one thread, one after the
other in turns of three updates. Printed are medians of the CPU time of an update, and of the ratios
to the first process in the same turn.

With `--convolutions`, the network's ten convolutions alone are timed, each in a loop, in the layout
channels-last: an update cannot take less.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from mtlkit.cli.environment import LARGE_PAGES

CELLS = ("", LARGE_PAGES)
"""Tunables of glibc."""
UPDATES = 3
WARM_UP = {"p-cnn-block": 40}
"""Updates until the kernels for most sizes of groups are compiled; by default 4."""
CLASSES = {"subject": 120, "yaw": 13, "light": 20, "expression": 6}


def noise():
    """Return random images with random labels of the small size's shapes."""
    import torch
    from mtlkit_synthetic_faces.protocol import POSES

    from mtlkit.data import Categorical, Data, Split

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (640, 1, 48, 48), dtype=torch.uint8, generator=generator)
    names = {task: tuple(map(str, range(count))) for task, count in CLASSES.items()}
    names["yaw"] = tuple(str(yaw) for yaw in sorted({camera.yaw for camera in POSES}))
    columns = {
        task: Categorical(torch.randint(0, len(n), (640,), generator=generator), n)
        for task, n in names.items()
    }
    return Data(train=Split(inputs=images, columns=columns, ids=list(map(str, range(640)))))


def updater(arm, catalog, data):
    """Return the updater of `arm` at the small size."""
    import attrs
    import torch
    from mtlkit_face.study.arms import ARMS
    from mtlkit_face.study.sizes import SMALL

    from mtlkit.assembly import assembly_of
    from mtlkit.model import assemble
    from mtlkit.runs.encoded_splits import encoded_splits, fit_heads
    from mtlkit.training.context import TrainingContext
    from mtlkit.training.update import Updater

    recipe = SMALL.recipe(ARMS[arm], 0, catalog)
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, device="cpu"))
    assembly = assembly_of(data, recipe.tasks)
    targets = encoded_splits(data, recipe.tasks, assembly, None)
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    fit_heads(model, targets["train"])
    weighting = recipe.weighting.build(model.terms, model.router.features.width)
    context = TrainingContext(recipe=recipe, data=data, targets=targets, device=torch.device("cpu"))
    return Updater(model, weighting, context)


def train_in_turns(arms):
    """Print the CPU milliseconds of an update of the arm on each line of standard input."""
    import torch

    from mtlkit import load_catalog

    torch.set_num_threads(1)
    catalog, data = load_catalog(), noise()
    updaters = {arm: updater(arm, catalog, data) for arm in arms}
    steps = dict.fromkeys(arms, 0)

    def update(arm, count):
        for _ in range(count):
            updaters[arm].update(steps[arm])
            steps[arm] += 1

    for arm in arms:
        update(arm, WARM_UP.get(arm, 4))
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.process_time()
        update(line.strip(), UPDATES)
        print(1000 * (time.process_time() - start) / UPDATES, flush=True)


def started(arms, tunables):
    """Return the process that trains `arms` with `tunables` of glibc."""
    return subprocess.Popen(
        [sys.executable, __file__, "--arms", ",".join(arms), "--in-turns"],
        env={**os.environ, "GLIBC_TUNABLES": tunables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def milliseconds(process, arm):
    """Return the CPU milliseconds of an update of `arm` in `process`."""
    process.stdin.write(f"{arm}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def compare(arms, turns):
    """Print the table."""
    processes = [started(arms, tunables) for tunables in CELLS]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    print("| network | pages | ms | times as fast |\n|---|---|---:|---:|")
    for arm in arms:
        times = [[milliseconds(process, arm) for process in processes] for _ in range(turns)]
        for number, tunables in enumerate(CELLS):
            median = statistics.median(turn[number] for turn in times)
            ratio = statistics.median(turn[0] / turn[number] for turn in times)
            pages = "large" if tunables else "4 KiB"
            print(f"| {arm} | {pages} | {median:.1f} | {ratio:.2f} |", flush=True)
    for process in processes:
        process.stdin.close()
        process.wait()


def fastest(function):
    """Return the CPU milliseconds of the fastest of several calls."""
    times = []
    for _ in range(6):
        start = time.process_time()
        function()
        times.append(1000 * (time.process_time() - start))
    return min(times)


def time_convolutions(batch=32, size=48):
    """Print the time of the convolutions of the s-CNN, forward and backward, by dtype."""
    import torch

    from mtlkit.backbones import CasiaNet
    from mtlkit.data import InputSpec

    torch.set_num_threads(1)
    print("| dtype | forward, ms | backward, ms | 10^9 multiplications/s |\n|---|---:|---:|---:|")
    for dtype in (torch.bfloat16, torch.float32):
        network = CasiaNet(width=0.5).build(InputSpec(shape=(1, size, size)))
        network.to(dtype).to(memory_format=torch.channels_last)
        maps = torch.zeros(batch, 1, size, size, dtype=dtype)
        maps = maps.contiguous(memory_format=torch.channels_last)
        forward = backward = count = 0.0
        for layer in network.modules():
            if isinstance(layer, torch.nn.MaxPool2d):
                maps = layer(maps)
            elif isinstance(layer, torch.nn.Conv2d):
                maps = torch.rand_like(maps).requires_grad_(layer.in_channels > 1)
                outputs = layer(maps)
                gradient = torch.rand_like(outputs)
                forward += fastest(lambda: layer(maps))  # noqa: B023
                backward += fastest(
                    lambda: outputs.backward(gradient, retain_graph=True)  # noqa: B023
                )
                passes = 3 if maps.requires_grad else 2
                count += passes * outputs.numel() * layer.weight[0].numel()
                maps = outputs.detach()
        rate = count / (forward + backward) / 1e6
        print(f"| {str(dtype)[6:]} | {forward:.1f} | {backward:.1f} | {rate:.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--arms", default="s-cnn,m-cnn,p-cnn-block")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--convolutions", action="store_true")
    parser.add_argument("--in-turns", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = options.arms.split(",")
    if options.in_turns:
        train_in_turns(names)
    elif options.convolutions:
        time_convolutions()
    else:
        compare(names, options.turns)
