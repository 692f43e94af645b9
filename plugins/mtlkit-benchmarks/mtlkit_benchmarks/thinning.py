"""Thinning of binary maps to lines of one pixel.

Paper: Zicheng Guo and Richard W. Hall, "Parallel Thinning with Two-Subiteration Algorithms",
Communications of the ACM 32(3), 1989, algorithm A1.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

_BITS = torch.tensor([[128.0, 1.0, 2.0], [64.0, 0.0, 4.0], [32.0, 16.0, 8.0]])[None, None]
"""Bits of the neighbors of a pixel: north, then clockwise."""


def thinned(maps: Tensor) -> Tensor:
    """Return the boolean maps (N, H, W) with their lines thinned until nothing changes.

    Connected parts stay connected.

    >>> thinned(torch.ones(1, 3, 5, dtype=torch.bool)).int().tolist()
    [[[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]]]
    """
    tables = [_removable(half) for half in (0, 1)]
    before = torch.zeros_like(maps)
    while not torch.equal(maps, before):
        before = maps
        for table in tables:
            neighbors = F.conv2d(maps.unsqueeze(1).float(), _BITS, padding=1).squeeze(1)
            maps = maps & ~table[neighbors.long()]
    return maps


def _removable(half: int) -> Tensor:
    """Return, by the bits (256,) of its neighbors, if iteration `half` (0, 1) removes a pixel."""
    bits = (torch.arange(256).unsqueeze(0) >> torch.arange(8).unsqueeze(1)) % 2 == 1
    north, northeast, east, southeast, south, southwest, west, northwest = bits
    corners = (
        ~north & (northeast | east),
        ~east & (southeast | south),
        ~south & (southwest | west),
        ~west & (northwest | north),
    )
    first = (northwest | north, northeast | east, southeast | south, southwest | west)
    second = (north | northeast, east | southeast, south | southwest, west | northwest)
    parts = torch.minimum(torch.stack(first).sum(dim=0), torch.stack(second).sum(dim=0))
    if half == 0:
        ends = (north | northeast | ~southeast) & east
    else:
        ends = (south | southwest | ~northwest) & west
    table: Tensor = (torch.stack(corners).sum(dim=0) == 1) & (parts >= 2) & (parts <= 3) & ~ends
    return table
