"""What all tests of ops share: the accuracy policy, and calls in every state of autograd."""

from collections.abc import Callable, Sequence

import pytest
import torch

FLOORS = {
    torch.float32: (1e-6, 5e-6),
    torch.bfloat16: (1e-3, 5e-3),
    torch.float16: (2e-4, 1e-3),
}
"""By how much a loss and a gradient may be wrong, relative to the truth, beside eager's error."""


def errors(found: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    """The error of the norm, and the largest one over the largest number."""
    found, truth = found.double(), truth.double()
    if truth.numel() == 0:
        return 0.0, 0.0
    norm = ((found - truth).norm() / truth.norm().clamp_min(1e-30)).item()
    return norm, ((found - truth).abs().max() / truth.abs().max().clamp_min(1e-30)).item()


@pytest.fixture
def no_worse_than_eager() -> Callable[..., None]:
    """Checks losses and gradients: at most twice eager's error against the truth, and the floor."""

    def check(
        dtype: torch.dtype,
        found: Sequence[torch.Tensor],
        eager: Sequence[torch.Tensor],
        truth: Sequence[torch.Tensor],
    ) -> None:
        for place, (ours, theirs, true) in enumerate(zip(found, eager, truth, strict=True)):
            floor = FLOORS[dtype][min(place, 1)]
            for mine, other in zip(errors(ours, true), errors(theirs, true), strict=True):
                assert mine <= 2 * other + floor, (place, mine, other)

    return check
