"""What all tests of ops share: the accuracy policy, and calls in every state of autograd."""

from collections.abc import Callable, Sequence

import pytest
import torch

from mtlkit.testing.checks.ops import FLOORS, errors


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
