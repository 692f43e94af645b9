"""Draw the points that preferences select on a known Pareto front.

Fonseca and Fleming's problem in 20 dimensions, L = 1 - exp(-|x -+ 1/sqrt(20)|^2), has the Pareto
set x_1 = ... = x_20 and a concave front. EPO is trained by `mtlkit.balance` in a loop for several
preferences, and constant weights for comparison. Run

    python benchmarks/pareto_front.py --out docs/pictures/pareto-front.svg
"""

import argparse
import io
import math
from pathlib import Path

import attrs
import matplotlib
import torch
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

import mtlkit
from mtlkit.weightings import EPO, Fixed, GradientLocation, GradientWeighting

SIZE = 20
RATIOS = (0.15, 0.4, 0.7, 1.0, 1.4, 2.5, 7.0)


def losses_of(x):
    """Return both losses of `x` (20,)."""
    shift = 1 / math.sqrt(SIZE)
    return {
        name: 1 - (-(x + sign * shift).square().sum()).exp()
        for name, sign in (("first", -1), ("second", 1))
    }


def front(position):
    """Return the losses of the Pareto optimum at `position` from -1 to 1."""
    return 1 - math.exp(-((position - 1) ** 2)), 1 - math.exp(-((position + 1) ** 2))


def on_front(ratio):
    """Return the Pareto optimum whose second loss is `ratio` times the first, by bisection."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        first, second = front(middle)
        low, high = (low, middle) if second > ratio * first else (middle, high)
    return front(low)


def weighted_sum(ratio):
    """Return constant weights in the proportion `ratio` to 1."""
    return Fixed(weights={"first": ratio / (1 + ratio), "second": 1 / (1 + ratio)})


def optimum(weighting, steps=800, seed=0):
    """Return both losses after training by `weighting` from a random start."""
    generator = torch.Generator().manual_seed(seed)
    x = (0.4 * torch.randn(SIZE, generator=generator)).requires_grad_()
    if isinstance(weighting, GradientWeighting):
        weighting = attrs.evolve(weighting, at=GradientLocation.PARAMETERS)
    balance = mtlkit.balance(weighting, tasks=("first", "second"))
    shared = {"shared": [x]} if isinstance(weighting, GradientWeighting) else {}
    for step in range(steps):
        balance.backward(losses_of(x), **shared)
        with torch.no_grad():
            x -= 0.1 * (1 - step / steps) * x.grad
        x.grad = None
    return tuple(loss.item() for loss in losses_of(x).values())


def draw(points, others):
    """Return the picture as SVG."""
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    FigureCanvasSVG(figure)
    with matplotlib.rc_context({"svg.hashsalt": "front", "text.parse_math": False}):
        axes = figure.subplots()
        curve = [front(-1 + number / 50) for number in range(101)]
        axes.plot(*zip(*curve, strict=True), color="#8c8c8c", label="Pareto front")
        for number, (ratio, point) in enumerate(points.items()):
            end = min(1.05, 1.05 / ratio)
            label = "preference" if number == 0 else None
            axes.plot([0, end], [0, ratio * end], "--", color="#c44e52", lw=0.8, label=label)
            label = "EPO" if number == 0 else None
            axes.plot(*point, "o", color="#c44e52", label=label)
        axes.plot(
            *zip(*others.values(), strict=True), "s", color="#4c72b0", label="constant weights"
        )
        axes.set_xlim(-0.04, 1.05)
        axes.set_ylim(-0.04, 1.05)
        axes.set_xlabel("first loss")
        axes.set_ylabel("second loss")
        axes.legend(loc="lower left")
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pareto-front.svg"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    points = {r: optimum(EPO(preferences={"first": r, "second": 1.0})) for r in RATIOS}
    others = {r: optimum(weighted_sum(r)) for r in RATIOS}
    for ratio, (first, second) in points.items():
        best = on_front(ratio)
        print(
            f"preference {ratio:4.2f}: EPO ({first:.3f}, {second:.3f}), front at the ray "
            f"({best[0]:.3f}, {best[1]:.3f}), constant weights ({others[ratio][0]:.3f}, "
            f"{others[ratio][1]:.3f})"
        )
    out.write_text(draw(points, others))


if __name__ == "__main__":
    main()
