"""Multi-task steps by hand, as LibMTL makes them: each task's gradient at all shared parameters.

Every engine computes one backward pass for each task, flattens and stacks the gradients, solves for
a direction from the paper's definition, and writes it to `.grad`. Heads get the gradients of their
losses. The solvers share no code with mtlkit; iterative ones use SciPy, as the authors' code does.
"""

import numpy as np
import torch
from scipy.optimize import least_squares, minimize


def task_by_task(direction, transform=lambda losses: losses):
    """Return an engine that applies `direction` (P,) of the Jacobian (T, P) of `transform`."""

    def engine(losses, features, shared, heads, backbone):
        rows = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in transform(losses)]
        jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
        pieces = torch.split(direction(jacobian), [p.numel() for p in shared])
        for loss, head in zip(losses, heads, strict=True):
            for p, part in zip(
                head, torch.autograd.grad(loss, head, retain_graph=True), strict=True
            ):
                p.grad = part
        for p, part in zip(shared, pieces, strict=True):
            p.grad = part.view_as(p)

    return engine


def scalar(total):
    """Return an engine that differentiates the scalar `total` of the losses once."""
    return lambda losses, features, shared, heads, backbone: total(losses).backward()


def geometric_mean(losses):
    """Return (prod_t L_t)^(1/T) (GLS; Chennupati et al. 2019)."""
    return torch.stack(losses).log().mean().exp()


def mgda(jacobian):
    """Return the shortest convex combination by Frank-Wolfe (Sener & Koltun 2018, algorithm 2)."""
    gramian = (jacobian @ jacobian.T).double().numpy()
    weights = np.full(len(gramian), 1 / len(gramian))
    for _ in range(250):
        products = gramian @ weights
        best = products.argmin()
        step = np.eye(len(gramian))[best] - weights
        slope, curvature = -(step @ products), step @ gramian @ step
        if slope < 1e-10 or curvature <= 0:
            break
        weights += min(1.0, slope / curvature) * step
    return torch.tensor(weights, dtype=jacobian.dtype) @ jacobian


def pcgrad(jacobian):
    """Return the sum after projections in random order (Yu et al. 2020, algorithm 1)."""
    total = torch.zeros_like(jacobian[0])
    for index, row in enumerate(jacobian):
        projected = row.clone()
        for other in torch.randperm(len(jacobian)).tolist():
            product = projected @ jacobian[other]
            if other != index and product < 0:
                projected -= product / jacobian[other].square().sum() * jacobian[other]
        total += projected
    return total


def cagrad(jacobian, c=0.5):
    """Return g_0 + c |g_0| g_w / |g_w| with the minimizing w (Liu et al. 2021, eq. 4)."""
    gramian = (jacobian @ jacobian.T).double().numpy()
    count = len(gramian)
    mean = gramian.mean(axis=1)
    radius = c * np.sqrt(gramian.mean())
    solution = minimize(
        lambda w: w @ mean + radius * np.sqrt(w @ gramian @ w + 1e-8), np.full(count, 1 / count),
        bounds=[(0, 1)] * count, constraints={"type": "eq", "fun": lambda w: 1 - w.sum()},
    ).x  # fmt: skip
    scale = radius / np.sqrt(solution @ gramian @ solution + 1e-8)
    return torch.tensor(1 / count + scale * solution, dtype=jacobian.dtype) @ jacobian


def imtl_g(jacobian):
    """Return the combination with equal projections on all unit gradients (Liu et al. 2021)."""
    units = jacobian / jacobian.norm(dim=1, keepdim=True)
    differences, of_units = jacobian[:1] - jacobian[1:], units[:1] - units[1:]
    rest = torch.linalg.solve(of_units @ differences.T, of_units @ jacobian[0])
    return torch.cat([1 - rest.sum().reshape(1), rest]) @ jacobian


def nash(jacobian, alpha=1.0):
    """Return J' a with G a = a^(-1 / alpha) (Navon et al. 2022; Ban & Ji 2024)."""
    gramian = (jacobian @ jacobian.T).double().numpy()
    start = 1 / np.sqrt(len(gramian) * np.maximum(np.diag(gramian), 1e-12))
    solution = least_squares(
        lambda a: gramian @ a - a ** (-1 / alpha), start, bounds=(1e-12, np.inf)
    ).x
    direction = torch.tensor(solution, dtype=jacobian.dtype) @ jacobian
    return direction / direction.norm().clamp(min=1.0)


def aligned(jacobian):
    """Return the sum of rows made orthogonal with equal lengths (Senushkin et al. 2023, alg. 1)."""
    values, vectors = torch.linalg.eigh((jacobian @ jacobian.T).double())
    kept = values > values.max() * 1e-10
    values, vectors = values[kept], vectors[:, kept]
    weights = vectors @ torch.diag((values.min() / values).sqrt()) @ vectors.T
    return weights.sum(dim=0).to(jacobian) @ jacobian


def db_mtl(jacobian):
    """Return max |g| sum_t g_t / |g_t| for gradients of log losses (Lin et al. 2023)."""
    norms = jacobian.norm(dim=1)
    return norms.max() * (jacobian / norms.unsqueeze(1)).sum(dim=0)


def logarithms(losses):
    """Return the logarithm of each loss."""
    return [loss.log() for loss in losses]


ENGINES = {
    "by hand, GLS": scalar(geometric_mean),
    "task by task (LibMTL's way), sum": task_by_task(lambda jacobian: jacobian.sum(dim=0)),
    "task by task (LibMTL's way), MGDA": task_by_task(mgda),
    "task by task (LibMTL's way), PCGrad": task_by_task(pcgrad),
    "task by task (LibMTL's way), CAGrad": task_by_task(cagrad),
    "task by task (LibMTL's way), IMTL-G": task_by_task(imtl_g),
    "task by task (LibMTL's way), Nash-MTL": task_by_task(nash),
    "task by task (LibMTL's way), FairGrad": task_by_task(lambda j: nash(j, alpha=2.0)),
    "task by task (LibMTL's way), Aligned-MTL": task_by_task(aligned),
    "task by task (LibMTL's way), DB-MTL": task_by_task(db_mtl, logarithms),
}
