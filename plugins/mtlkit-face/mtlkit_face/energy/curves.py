"""Rank-1 by number of dimensions: of x_n, and of the logits y_n computed from x_n alone.

x_n are the n dimensions with the most energy for identity (Yin & Liu, TIP 2018, figure of rank-1
against n). Shapes: N images, D dimensions, C identities.
"""

from collections.abc import Callable, Sequence

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.metrics.rank import identification_rate, ranks

_CHUNK = 4096
SHUFFLES = 5


@attrs.frozen(kw_only=True)
class Curves:
    """Rank-1 at each number of dimensions in `counts`.

    `x` adds dimensions of x from the strongest on, `shuffled` in random order (mean of `SHUFFLES`
    fixed orders); `y` uses the logits W_n x_n + b of the strongest dimensions.
    """

    counts: tuple[int, ...]
    x: tuple[float, ...]
    shuffled: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def best(self) -> int:
        """Index into `counts` of the first maximum of `x`."""
        return self.x.index(max(self.x))


def largest_fall(curve: Sequence[float]) -> float:
    """Return the largest drop of a curve below its running maximum, 0 if it never drops.

    >>> largest_fall((0.25, 0.75, 0.5, 0.75))
    0.25
    """
    values = torch.tensor(curve, dtype=torch.double)
    return (values.cummax(dim=0).values - values).max().item()


def dimension_counts(size: int, points: int) -> tuple[int, ...]:
    """Return about `points` evenly spaced numbers of dimensions, up to `size`.

    >>> dimension_counts(320, 4), dimension_counts(3, 10)
    ((80, 160, 240, 320), (1, 2, 3))
    """
    return tuple(sorted({max(1, round(size * step / points)) for step in range(1, points + 1)}))


def rank1(templates: Tensor, trial: GalleryTrial) -> float:
    """Return rank-1 by the cosines of `templates` (N, K); ties count as misses."""
    unit = F.normalize(templates, dim=1)
    gallery = unit[trial.gallery]
    rank = []
    for index, mate in zip(
        torch.split(trial.probes, _CHUNK), torch.split(trial.mates, _CHUNK), strict=True
    ):
        scores = unit[index] @ gallery.T
        rank.append(ranks(scores.numpy(), scores.gather(1, mate.unsqueeze(1))[:, 0].numpy()))
    return identification_rate(np.concatenate(rank), 1)


def curves(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    order: Tensor,
    trial: GalleryTrial,
    counts: Sequence[int],
) -> Curves:
    """Return the curves of features x (N, D), identity's `weight` (C, D) and `bias` (C,).

    `order` (D,) lists the dimensions, the strongest first.
    """
    weight, bias = weight.to(x), bias.to(x)

    def logits(chosen: Tensor) -> Tensor:
        return F.linear(x[:, chosen], weight[:, chosen], bias)

    def features(chosen: Tensor) -> Tensor:
        return x[:, chosen]

    def curve(of: Callable[[Tensor], Tensor], order: Tensor) -> list[float]:
        return [rank1(of(order[:count]), trial) for count in counts]

    shuffles = [
        torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))
        for seed in range(SHUFFLES)
    ]
    shuffled = torch.tensor([curve(features, shuffle) for shuffle in shuffles], dtype=torch.double)
    return Curves(
        counts=tuple(counts),
        x=tuple(curve(features, order)),
        shuffled=tuple(shuffled.mean(dim=0).tolist()),
        y=tuple(curve(logits, order)),
    )
