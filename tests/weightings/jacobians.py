"""Jacobians that a scheme must cope with, by what is hard about them."""

import torch


def of_kind(kind, count, generator):
    """`count` Jacobians (K, P) in float64."""
    found = []
    for number in range(count):
        tasks = 2 + number % 5
        jacobian = torch.randn(tasks, 12, generator=generator, dtype=torch.float64)
        match kind:
            case "random":
                pass
            case "rank-deficient":  # rank 2 or 1
                rank = 1 if tasks == 2 else 2
                parts = torch.randn(tasks, rank, generator=generator, dtype=torch.float64)
                jacobian = parts @ jacobian[:rank]
            case "conflicting":  # every pair is at an obtuse angle, as far as that is possible
                jacobian -= 0.95 * jacobian.mean(dim=0)
            case "cancelling":  # some positive combination is 0
                shares = torch.rand(tasks - 1, generator=generator, dtype=torch.float64)
                jacobian[-1] = -shares @ jacobian[:-1]
            case "zero row":
                jacobian[number % tasks] = 0
            case "badly scaled":
                powers = 6 * torch.rand(tasks, 1, generator=generator, dtype=torch.float64) - 3
                jacobian = jacobian * 10**powers
            case "huge":
                jacobian = jacobian * 1e12
            case "tiny":
                jacobian = jacobian * 1e-12
        found.append(jacobian)
    return found


KINDS = (
    "random", "rank-deficient", "conflicting", "cancelling", "zero row", "badly scaled", "huge",
    "tiny",
)  # fmt: skip
