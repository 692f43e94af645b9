"""Probes against a gallery: ranks, rivals and the distribution of scores.

Shapes: P probes, S gallery images (one of each subject), K numbers of a template.
"""

from collections.abc import Iterable

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.metrics.rank import identification_rate, ranks
from mtlkit_face.metrics.roc import Roc, SortedScores

CHUNK = 1024
"""Probes whose scores are held at a time."""

BINS = 20_000
"""Scores lie in [-1, 1]; a bin of 0.0001 bounds the error of the equal error rate's threshold."""


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
        return identification_rate(ranks.numpy(), 1)

    def cmc(self, most: int) -> tuple[float, ...]:
        """The share of probes with a rank of at most 1, 2, ... `most`."""
        return tuple(identification_rate(self.ranks.numpy(), rank) for rank in range(1, most + 1))

    def genuine(self) -> Tensor:
        """The histogram (BINS,) over [-1, 1] of the scores with the own gallery images."""
        return _histogram(self.own)

    def roc(self) -> Roc:
        """The curve of all scores, each in the middle of its bin."""
        counts = torch.cat([self.genuine(), self.impostors]).numpy()
        used = np.flatnonzero(counts)
        score = (used % BINS + 0.5) / BINS * 2 - 1
        return SortedScores(score, used < BINS).roc(counts[used].astype(np.float64))


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
        rank = torch.from_numpy(ranks(scores.numpy(), own.squeeze(1).numpy()))
        others = scores.scatter(1, owner, -torch.inf)
        rival_scores, rivals = others.max(dim=1)
        impostors += _histogram(others[others.isfinite()])
        found.append((rank, own.squeeze(1), rivals, rival_scores))
    rank, own, rivals, rival_scores = (torch.cat(each) for each in zip(*found, strict=True))
    return Matches(
        ranks=rank, own=own, rivals=rivals, rival_scores=rival_scores, impostors=impostors
    )


def match_templates(templates: Tensor, trial: GalleryTrial) -> Matches:
    """The matches of a trial by the templates (N, K) of all samples of its split."""
    chunks = (templates[index] for index in torch.split(trial.probes, CHUNK))
    return match(chunks, templates[trial.gallery], trial.owners)


def _histogram(scores: Tensor) -> Tensor:
    place = ((scores.double() + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    return torch.bincount(place, minlength=BINS)
