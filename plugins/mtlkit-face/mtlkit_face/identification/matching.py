"""Probes against a gallery: ranks, rivals and the distribution of scores.

Shapes: P probes, S gallery images (one of each subject), K numbers of a template.
"""

from collections.abc import Iterable

import attrs
import torch
from torch import Tensor

BINS = 20_000
"""Scores lie in [-1, 1]; a bin of 0.0001 bounds the error of the equal error rate's threshold."""


@attrs.frozen(kw_only=True)
class EqualError:
    """The equal error rate, and the score from which pairs are accepted to have it."""

    rate: float
    threshold: float


@attrs.frozen(eq=False, kw_only=True)
class Matches:
    """How P probes matched a gallery of S images.

    `ranks` (P,) counts from 1. A rival with the very same score is placed before the right image:
    ties are counted against the model, so that constant scores earn the last rank. `own` (P,) is
    the score with the probe's own gallery image, `rivals` (P,) the best-scoring gallery image of
    another subject and `rival_scores` (P,) its score. `impostors` (BINS,) is the histogram over
    [-1, 1] of all scores with others' gallery images.
    """

    ranks: Tensor
    own: Tensor
    rivals: Tensor
    rival_scores: Tensor
    impostors: Tensor

    def rank1(self, among: Tensor | None = None) -> float:
        """The share of probes, of those `among` (P,) or of all, whose best match is right."""
        ranks = self.ranks if among is None else self.ranks[among]
        return (ranks == 1).double().mean().item()

    def cmc(self, most: int) -> tuple[float, ...]:
        """The share of probes with a rank of at most 1, 2, ... `most`."""
        return tuple((self.ranks <= rank).double().mean().item() for rank in range(1, most + 1))

    def genuine(self) -> Tensor:
        """The histogram (BINS,) over [-1, 1] of the scores with the own gallery images."""
        return _histogram(self.own)

    def equal_error_rate(self) -> float:
        """Where as many genuine scores are refused as impostors accepted, over all thresholds."""
        return self.equal_error().rate

    def equal_error(self) -> "EqualError":
        """The threshold, a bin's edge, at which the rates of refused genuine scores and of
        accepted impostors differ least, and the mean of the two rates there.

        A score is accepted where it is the threshold or above. Where a range of thresholds gives
        these rates, it is the middle one.
        """
        genuine, impostors = self.genuine().double(), self.impostors.double()
        zero = genuine.new_zeros(1)
        refused = torch.cat([zero, genuine.cumsum(0)]) / genuine.sum()
        accepted = 1 - torch.cat([zero, impostors.cumsum(0)]) / impostors.sum()
        at = int((refused - accepted).abs().argmin())
        rate = ((refused[at] + accepted[at]) / 2).item()
        alike = ((refused == refused[at]) & (accepted == accepted[at])).nonzero().squeeze(1)
        middle = int(alike[0] + alike[-1]) // 2
        return EqualError(rate=rate, threshold=2 * middle / BINS - 1)


def match(probes: Iterable[Tensor], gallery: Tensor, owners: Tensor) -> Matches:
    """The matches of `probes`, chunks of templates (P_i, K), in a gallery (S, K), S > 1.

    `owners` (P,) is the gallery image of each probe's own subject. Only one chunk of scores is held
    at a time, so that the gallery may be large.
    """
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    impostors = torch.zeros(BINS, dtype=torch.int64)
    start = 0
    for chunk in probes:
        owner = owners[start : start + len(chunk)].unsqueeze(1)
        start += len(chunk)
        scores = chunk @ gallery.T
        own = scores.gather(1, owner)
        # the own image counts as well: ranks start at 1; a score that is no number finds nobody
        ranks = (~(scores < own)).sum(dim=1)
        others = scores.scatter(1, owner, -torch.inf)
        rival_scores, rivals = others.max(dim=1)
        impostors += _histogram(others[others.isfinite()])
        found.append((ranks, own.squeeze(1), rivals, rival_scores))
    ranks, own, rivals, rival_scores = (torch.cat(each) for each in zip(*found, strict=True))
    return Matches(
        ranks=ranks, own=own, rivals=rivals, rival_scores=rival_scores, impostors=impostors
    )


def _histogram(scores: Tensor) -> Tensor:
    place = ((scores.double() + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    return torch.bincount(place, minlength=BINS)
