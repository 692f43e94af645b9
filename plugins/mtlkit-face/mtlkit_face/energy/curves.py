"""Rank-1 by the number of dimensions: of x_n, and of the logits y_n that they alone give.

The n dimensions of most energy for identity come first (Yin & Liu, TIP 2018, figure of rank-1
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

    `x` takes dimensions of x from the strongest on, `shuffled` in random order (the mean of
    `SHUFFLES` fixed ones), `y` the logits W_n x_n + b of the strongest.
    """

    counts: tuple[int, ...]
    x: tuple[float, ...]
    shuffled: tuple[float, ...]
    y: tuple[float, ...]

    @property
    def best(self) -> int:
        """The first place in `counts` at which x does best."""
        return self.x.index(max(self.x))


def largest_fall(curve: Sequence[float]) -> float:
    """The largest fall of a curve from anything it had reached; 0 for one that never falls.

    >>> largest_fall((0.25, 0.75, 0.5, 0.75))
    0.25
    """
    values = torch.tensor(curve, dtype=torch.double)
    return (values.cummax(dim=0).values - values).max().item()


def dimension_counts(size: int, points: int) -> tuple[int, ...]:
    """About `points` numbers of dimensions, evenly from one to all `size`.

    >>> dimension_counts(320, 4), dimension_counts(3, 10)
    ((80, 160, 240, 320), (1, 2, 3))
    """
    return tuple(sorted({max(1, round(size * step / points)) for step in range(1, points + 1)}))


def rank1(templates: Tensor, trial: GalleryTrial) -> float:
    """The share of probes whose own gallery image alone scores best; a tie counts as a miss.

    `templates` (N, K) need no unit length.
    """
    unit = F.normalize(templates, dim=1)
    gallery = unit[trial.gallery]
    found = []
    for index, owner in zip(
        torch.split(trial.probes, _CHUNK), torch.split(trial.owners, _CHUNK), strict=True
    ):
        scores = unit[index] @ gallery.T
        found.append(ranks(scores.numpy(), scores.gather(1, owner.unsqueeze(1))[:, 0].numpy()))
    return identification_rate(np.concatenate(found), 1)


def curves(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    order: Tensor,
    trial: GalleryTrial,
    counts: Sequence[int],
) -> Curves:
    """The curves for features x (N, D), identity's `weight` (C, D) and `bias` (C,).

    `order` (D,) names the strongest dimension first.
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
