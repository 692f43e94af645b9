"""Active-set solver over the simplex on floats: for few tasks on a CPU, faster than tensors.

Between two updates of a network, its weights replace the code of tensor operators in the cache, so
that a solver of tensors takes several times as long as one of numbers. Shapes: K tasks.
"""

from collections.abc import Sequence
from math import isfinite, nan, sqrt
from operator import mul

from torch import Tensor

FEW = 8
"""Largest number of tasks for which problems are solved on floats, or on all supports."""

RIDGE = 1e-12
"""Ridge that keeps systems of linearly dependent gradients solvable, relative to squared norms."""

TOLERANCE = 1e-12
"""Smallest fall of the value for which a task is added, relative to the lengths it is made of."""

STEPS = 4
"""Largest number of tasks added, for each task; the value falls each time, so rounding only."""


def on_floats(gramian: Tensor) -> bool:
    """Return whether a problem with this Gramian (K, K) is solved on floats."""
    return len(gramian) <= FEW and gramian.device.type == "cpu"


def minimize_on_simplex(
    gramian: Sequence[Sequence[float]], slope: Sequence[float], radius: float
) -> list[float]:
    """Return argmin of `slope` . w + `radius` |g_w| over w >= 0 with sum 1.

    A primal active-set method (Nocedal & Wright, Numerical Optimization, 2nd edition, section
    16.5): tasks enter the support of w by the slope of the value, and leave it when their weight
    becomes 0. On a support, the minimum has a closed form, or the value falls along a direction.
    Gradients of zero get all the weight; all weights are NaN if a number is not finite.

    >>> minimize_on_simplex([[4.0, 0.0], [0.0, 1.0]], [0.0, 0.0], 1.0)
    [0.2, 0.8]
    """
    tasks = range(len(gramian))
    if not isfinite(sum(map(sum, gramian))):
        return [nan for _ in tasks]
    zeros = [i for i in tasks if gramian[i][i] <= 0]
    if zeros:
        return [(i in zeros) / len(zeros) for i in tasks]
    norms = [sqrt(gramian[i][i]) for i in tasks]
    whole, ends = _on_face(gramian, norms, slope, radius, tasks)
    if ends and min(whole) > 0:
        return whole
    first = min(tasks, key=lambda i: slope[i] + radius * norms[i])
    weights, support = [float(i == first) for i in tasks], [first]
    for _ in range(STEPS * len(tasks)):
        added = _steepest(gramian, norms, slope, radius, weights)
        if added in support:
            break
        support.append(added)
        while True:
            goal, ends = _on_face(gramian, norms, slope, radius, support)
            if ends and min(goal[i] for i in support) > 0:
                weights = goal
                break
            move = [g - w for g, w in zip(goal, weights, strict=True)] if ends else goal
            falling = [i for i in support if move[i] < 0 or goal[i] == 0]
            sizes = {i: weights[i] / -move[i] if move[i] else 0.0 for i in falling}
            last = min(sizes, key=sizes.__getitem__)
            weights = [w + sizes[last] * m for w, m in zip(weights, move, strict=True)]
            weights[last] = 0.0
            support.remove(last)
    return weights


def _steepest(
    gramian: Sequence[Sequence[float]],
    norms: Sequence[float],
    slope: Sequence[float],
    radius: float,
    weights: Sequence[float],
) -> int:
    """Return the task along which the value falls most; one of the support at the minimum."""
    products = [dot(row, weights) for row in gramian]
    length = norm_of(gramian, weights)
    factor = radius / length if length > TOLERANCE * max(norms) else 0.0
    slopes = [s + factor * p for s, p in zip(slope, products, strict=True)]
    value = dot(slopes, weights)
    falls = [
        (s - value) / (abs(part) + radius * norm or 1.0) + (TOLERANCE if weight == 0 else 0.0)
        for s, part, norm, weight in zip(slopes, slope, norms, weights, strict=True)
    ]
    return min(range(len(falls)), key=falls.__getitem__)


def _on_face(
    gramian: Sequence[Sequence[float]],
    norms: Sequence[float],
    slope: Sequence[float],
    radius: float,
    support: Sequence[int],
) -> tuple[list[float], bool]:
    """Return the w with the smallest value if only the `support` is nonzero, and true.

    If there is none, return a direction along which the value falls without end, and false.
    """
    rows = [
        [gramian[i][j] / (norms[i] * norms[j]) + (RIDGE if i == j else 0.0) for j in support]
        + [1 / norms[i], slope[i] / norms[i]]
        for i in support
    ]
    ones, against = zip(*solve_positive(rows)[0], strict=True)
    inverse = [1 / norms[i] for i in support]
    # w = s (level * G^-1 1 - G^-1 slope) with |g_w| = radius * s, an equation for the level
    a, b = dot(ones, inverse), dot(against, inverse)
    c = sum(x * slope[i] * v for x, i, v in zip(against, support, inverse, strict=True))
    square = b * b - a * (c - radius * radius)
    ends = square > 0
    level, total = ((b + sqrt(square)) / a, sqrt(square)) if ends else (b / a, 1.0)
    result = [0.0] * len(norms)
    for i, one, other, v in zip(support, ones, against, inverse, strict=True):
        result[i] = (level * one - other) * v / total
    return result, ends


def solve_positive(rows: list[list[float]]) -> tuple[list[list[float]], float]:
    """Return the solutions of a positive definite system, and its smallest pivot.

    The sides are the last columns of the `rows`, which are changed. With 1 on the diagonal, a pivot
    near 0 marks rows that are linearly dependent.
    """
    size, smallest = len(rows), 1.0
    for i in range(size):
        smallest = min(smallest, rows[i][i])
        divisor = rows[i][i] or RIDGE
        pivot = rows[i] = [value / divisor for value in rows[i]]
        for j in range(size):
            factor = rows[j][i]
            if j != i and factor:
                rows[j] = [value - factor * p for value, p in zip(rows[j], pivot, strict=True)]
    return [row[size:] for row in rows], smallest


def norm_of(gramian: Sequence[Sequence[float]], weights: Sequence[float]) -> float:
    """Return the norm of the combination of gradients with these weights."""
    return sqrt(max(dot(weights, [dot(row, weights) for row in gramian]), 0.0))


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """Return the inner product of two vectors."""
    total: float = sum(map(mul, left, right))
    return total
