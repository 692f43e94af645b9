"""Cost of an update with SAM, and the direction of SAMO's estimate of a task's gradient.

    python benchmarks/bench_sam.py [--pairs 20] [--directions 50]

Updates with `sam` alternate with those of the same recipe without it, in one process on one thread;
the result is the median ratio of CPU times. SAMO estimates the gradient of each task from two
losses along one Gaussian direction, and scales each tensor of the estimate to the norm of the mean
gradient. The second part prints the mean cosine of this estimate with the task's gradient.
"""

import argparse
import itertools
import statistics

import attrs
import bench_weightings as base
import torch

from mtlkit.callbacks import SAM
from mtlkit.training.gradients.sources import moved
from mtlkit.weightings import CAGrad, Equal

WEIGHTINGS = {"equal": Equal(), "cagrad": CAGrad()}
DISTANCE = 0.01
"""The distance of the two losses from the weights in standard deviations, as in SAMO's code."""


def cost(recipe, weighting, pairs):
    """Return the ratio of CPU times of an update with `sam` to one without it."""
    train = attrs.evolve(recipe.train, watch=False)  # no logged gradients, of which both have some
    plain = attrs.evolve(recipe, weighting=weighting, train=train)
    sharp = attrs.evolve(plain, callbacks=(SAM(),))
    ratio, _ = base.paired(base.updater(sharp).update, base.updater(plain).update, pairs)
    return ratio


def directions_of(recipe, directions):
    """Return the number of shared parameters and two mean cosines.

    They are those of SAMO's estimates with the tasks' gradients, and of the mean gradient with
    them.
    """
    source = base.updater(recipe)
    model, data = source.inner.model.eval(), source.context.data.train
    index = torch.arange(recipe.train.batch)
    targets = {n: rows[index] for n, rows in source.context.targets["train"].items()}
    shared = list(model.router.parameters())

    def losses():
        return model.losses(data.inputs[index], targets, model.counts(targets)).mean

    rows = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in losses()]
    mean = [torch.stack(parts).mean(dim=0) for parts in zip(*rows, strict=True)]
    cosines = []
    for _, (task, row) in itertools.product(range(directions), enumerate(rows)):
        direction = [torch.randn_like(parameter) for parameter in shared]
        with torch.no_grad():
            with moved(shared, DISTANCE * flat(direction)):
                above = losses()[task]
            with moved(shared, -DISTANCE * flat(direction)):
                below = losses()[task]
        pairs = zip(mean, direction, strict=True)
        estimate = [(above - below).sign() * g.norm() / z.norm() * z for g, z in pairs]
        cosines.append(cosine(estimate, row))
    return (
        sum(parameter.numel() for parameter in shared),
        statistics.mean(cosines),
        statistics.mean(cosine(mean, row) for row in rows),
    )


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


def cosine(one, other):
    return torch.cosine_similarity(flat(one), flat(other), dim=0).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--directions", type=int, default=50)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for network, (name, weighting) in itertools.product(("mlp", "conv"), WEIGHTINGS.items()):
        ratio = cost(base.NETWORKS[network], weighting, options.pairs)
        print(f"{network:5} {name:8} an update with sam takes {ratio:.2f} times one without")
    for network in ("mlp", "conv"):
        size, estimate, mean = directions_of(base.NETWORKS[network], options.directions)
        print(
            f"{network:5} {size:,} shared parameters: cosine with the gradient of a task "
            f"{estimate:.4f} of SAMO's estimate, {mean:.4f} of the mean gradient"
        )


if __name__ == "__main__":
    main()
