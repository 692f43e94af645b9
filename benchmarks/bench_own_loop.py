"""Measure the fixed cost of a training step, and of `mtlkit.balance` in a hand-written loop.

The steps of a hand-written loop with the plain sum of losses, of a recipe, and of the same loop
with `mtlkit.balance` alternate in one process, so that other load affects all of them. The reported
times are medians and tenth percentiles of CPU time. A recipe fuses heads and uses the fused SGD of
PyTorch; a second recipe does not fuse heads, and a second loop uses the fused SGD, so that the
rest of both can be compared. Run

    python benchmarks/bench_own_loop.py
"""

import argparse
import statistics
import time

import attrs
import bench_weightings as base
import torch
import torch.nn.functional as F

import mtlkit
from mtlkit.backbones import MLP
from mtlkit.weightings import MGDA, CAGrad, Equal, Uncertainty

NETWORKS = {
    "mlp 64x2": attrs.evolve(
        base.SMALL, data=base.Noise(shape=(64,), samples=640), backbone=MLP(hidden=(64, 64))
    ),
    "mlp 512x3": base.SMALL,
}
WEIGHTINGS = {"equal": Equal(), "uncertainty": Uncertainty(), "cagrad": CAGrad(), "mgda": MGDA()}


NOT_FUSED = {"multi_head_cross_entropy": "eager", "linear_cross_entropy": "eager"}


def by_balance(recipe, **options):
    """Return a step of a loop in plain PyTorch with `mtlkit.balance` and `options` of SGD."""
    source = base.updater(recipe)
    model, data, targets = source.inner.model, source.context.data, source.context.targets["train"]
    linears = {name: base.output_of(model.head(name)) for name in base.TASKS}
    balance = mtlkit.balance(recipe.weighting, tuple(base.TASKS))
    parameters = [*model.parameters(), *balance.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, **options)
    batch = recipe.train.batch

    def step(number):
        index = (torch.arange(batch) + number * batch) % len(data.train)
        features = model.router(data.train.inputs[index]).shared
        losses = {n: F.cross_entropy(linears[n](features), targets[n][index]) for n in base.CLASSES}
        for n in base.NUMBERS:
            losses[n] = F.mse_loss(linears[n](features)[:, 0], targets[n][index]) / 2
        optimizer.zero_grad()
        balance.backward(losses, features=features)
        optimizer.step()

    return step


def times(steps, rounds):
    """Return the CPU times in milliseconds of each step, by its name."""
    spent = {name: [] for name in steps}
    for number in range(rounds + 20):
        for name, step in steps.items():
            start = time.process_time()
            step(number)
            if number >= 20:
                spent[name].append((time.process_time() - start) * 1e3)
    return spent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--only", help="a part of the name of a network")
    options = parser.parse_args()
    rounds = options.rounds
    torch.set_num_threads(1)
    for network, recipe in NETWORKS.items():
        if options.only and options.only not in network:
            continue
        # without the log of gradients, which belongs to the log and not to an update
        recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, watch=False))
        for name, weighting in WEIGHTINGS.items():
            chosen = attrs.evolve(recipe, weighting=weighting)
            train = attrs.evolve(recipe.train, ops=NOT_FUSED)
            separate = attrs.evolve(chosen, train=train)
            steps = {
                "by hand, plain sum": base.by_hand(recipe, base.plain),
                "recipe": base.updater(chosen).update,
                "recipe, heads not fused": base.updater(separate).update,
                "by hand, balance": by_balance(chosen),
                "the same, fused SGD": by_balance(chosen, fused=True),
            }
            spent = times(steps, rounds)
            plain = spent["by hand, plain sum"]
            for kind, measured in spent.items():
                low, middle = statistics.quantiles(measured, n=10)[0], statistics.median(measured)
                ratio = statistics.median(a / b for a, b in zip(measured, plain, strict=True))
                more = low - statistics.quantiles(plain, n=10)[0]
                print(
                    f"{network:10} {name:12} {kind:23} median {middle:6.3f} ms, p10 {low:6.3f} ms, "
                    f"p10 over plain {more:+6.3f} ms, ratio {ratio:5.3f}"
                )


if __name__ == "__main__":
    main()
