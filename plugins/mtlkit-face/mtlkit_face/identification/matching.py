"""Match probes against a gallery: ranks, best impostors and the distribution of scores.

Shapes: P probes, S gallery images (one per subject), K numbers per template.
"""

from collections.abc import Iterable

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.metrics.rank import identification_rate, ranks
from mtlkit_face.metrics.roc import Floats, Roc, SortedScores
from mtlkit_face.metrics.score_statistics import ScoreStatistics, score_statistics

CHUNK = 1024
"""Number of probes whose scores are in memory at a time."""

BINS = 20_000
"""Bins of a score histogram over [-1, 1]; their width, 0.0001, bounds the threshold's error."""

CENTERS: Floats = (np.arange(BINS) + 0.5) / BINS * 2 - 1


@attrs.frozen(eq=False, kw_only=True)
class Matches:
    """Result of matching P probes against a gallery of S images.

    `ranks` (P,) are the ranks of the mates, from 1; ties count against the model, so constant
    scores yield the last rank. `mate_scores` (P,) are the scores of the mates, `best_impostors`
    (P,) the best-scoring gallery images of other subjects and `best_impostor_scores` (P,) their
    scores. `impostor_counts` (BINS,) is the histogram over [-1, 1] of all impostor scores.
    """

    ranks: Tensor
    mate_scores: Tensor
    best_impostors: Tensor
    best_impostor_scores: Tensor
    impostor_counts: Tensor

    def rank1(self, mask: Tensor | None = None) -> float:
        """Return the fraction of probes, of those in `mask` (P,) if given, of rank 1."""
        ranks = self.ranks if mask is None else self.ranks[mask]
        return identification_rate(ranks.numpy(), 1)

    def cmc(self, most: int) -> tuple[float, ...]:
        """Return the fraction of probes with a rank of at most 1, 2, ... `most`."""
        return tuple(identification_rate(self.ranks.numpy(), rank) for rank in range(1, most + 1))

    def mate_counts(self) -> Tensor:
        """Return the histogram (BINS,) over [-1, 1] of the scores of the mates."""
        return _histogram(self.mate_scores)

    def score_statistics(self) -> dict[str, ScoreStatistics]:
        """Summarize the genuine and the impostor scores, each rounded to the center of its bin."""
        return {
            kind: score_statistics(CENTERS, counts.numpy())
            for kind, counts in (
                ("genuine", self.mate_counts()),
                ("impostor", self.impostor_counts),
            )
        }

    def roc(self) -> Roc:
        """Return the ROC curve of all scores, each rounded to the center of its bin."""
        counts = torch.cat([self.mate_counts(), self.impostor_counts]).numpy()
        used = np.flatnonzero(counts)
        score = CENTERS[used % BINS]
        return SortedScores(score, used < BINS).roc(counts[used].astype(np.float64))


def match(probes: Iterable[Tensor], gallery: Tensor, mates: Tensor) -> Matches:
    """Match `probes`, chunks of templates (P_i, K), against a gallery (S, K), S > 1.

    `mates` (P,) is the index of each probe's mate in the gallery. Only one chunk of scores is in
    memory at a time, so the gallery may be large.
    """
    chunks: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    impostor_counts = torch.zeros(BINS, dtype=torch.int64)
    start = 0
    for chunk in probes:
        mate = mates[start : start + len(chunk)].unsqueeze(1)
        start += len(chunk)
        scores = chunk @ gallery.T
        mate_score = scores.gather(1, mate).squeeze(1)
        rank = torch.from_numpy(ranks(scores.numpy(), mate_score.numpy()))
        impostor_scores = scores.scatter(1, mate, -torch.inf)
        best_score, best = impostor_scores.max(dim=1)
        impostor_counts += _histogram(impostor_scores[impostor_scores.isfinite()])
        chunks.append((rank, mate_score, best, best_score))
    rank, mate_score, best, best_score = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return Matches(
        ranks=rank,
        mate_scores=mate_score,
        best_impostors=best,
        best_impostor_scores=best_score,
        impostor_counts=impostor_counts,
    )


def match_templates(templates: Tensor, trial: GalleryTrial) -> Matches:
    """Match a trial by the templates (N, K) of all samples of its split."""
    chunks = (templates[index] for index in torch.split(trial.probes, CHUNK))
    return match(chunks, templates[trial.gallery], trial.mates)


def _histogram(scores: Tensor) -> Tensor:
    bins = ((scores.double() + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    return torch.bincount(bins, minlength=BINS)
