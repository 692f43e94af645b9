"""Thinning of binary images to lines of one pixel.

Paper: Zicheng Guo and Richard W. Hall, "Parallel Thinning with Two-Subiteration Algorithms",
Communications of the ACM 32(3), 1989.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_OFFSETS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The neighbors p2 to p9: from the one above, clockwise."""


def thin(image: Tensor) -> Tensor:
    """Return the lines (H, W) of one pixel to which a boolean `image` is thinned.

    >>> thin(torch.ones(3, 6, dtype=torch.bool)).sum(dim=0).max().item()
    1
    """
    while True:
        thinner = _subiteration(_subiteration(image, first=True), first=False)
        if torch.equal(thinner, image):
            return image
        image = thinner


def _subiteration(image: Tensor, *, first: bool) -> Tensor:
    """Return `image` without the pixels that a subiteration deletes (algorithm A1)."""
    height, width = image.shape
    padded = F.pad(image.int(), (1, 1, 1, 1)).bool()
    p2, p3, p4, p5, p6, p7, p8, p9 = (
        padded[1 + y : 1 + y + height, 1 + x : 1 + x + width] for y, x in _OFFSETS
    )
    crossings = sum(
        (~one & (two | three)).int()
        for one, two, three in ((p2, p3, p4), (p4, p5, p6), (p6, p7, p8), (p8, p9, p2))
    )
    pairs = (((p9, p2), (p3, p4), (p5, p6), (p7, p8)), ((p2, p3), (p4, p5), (p6, p7), (p8, p9)))
    counts = [sum((one | two).int() for one, two in each) for each in pairs]
    neighbors = torch.minimum(*map(torch.as_tensor, counts))
    edge = (p6 | p7 | ~p9) & p8 if first else (p2 | p3 | ~p5) & p4
    deleted = (torch.as_tensor(crossings) == 1) & (neighbors >= 2) & (neighbors <= 3) & ~edge
    return image & ~deleted
