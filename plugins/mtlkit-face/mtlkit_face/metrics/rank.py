"""Rank of the mate in a gallery, and the identification rate by rank (CMC).

Ties count against the model: other entries with the same score rank before the mate, so constant
scores yield the last rank.

Shapes: P probes, S gallery templates, M persons in the gallery.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools, Floats

Ranks = npt.NDArray[np.int64]

NEVER = 2**62
"""Rank of a mated probe whose comparison failed: larger than any candidate list."""


def ranks(scores: npt.NDArray[np.floating], mate: npt.NDArray[np.floating]) -> Ranks:
    """Return the rank (P,), from 1, of the score `mate` (P,) among `scores` (P, M), one of them.

    NaN scores yield the last rank.

    >>> ranks(np.array([[0.5, 0.9], [0.5, 0.5]]), np.array([0.9, 0.5]))
    array([1, 2])
    """
    rank: Ranks = (~(scores < mate[:, None])).sum(axis=1)
    return rank


def identification_rate(rank: Ranks, most: int, weight: Floats | None = None) -> float:
    """Return the fraction of mated probes whose rank (P,) is at most `most`.

    Probes of rank 0 have no mate in the gallery and are ignored. `weight` (P,) weights the probes.

    >>> identification_rate(np.array([1, 3, 0]), 1)
    0.5
    """
    counts = np.where(rank > 0, 1.0 if weight is None else weight, 0.0)
    total = counts.sum()
    return float(counts[rank <= most].sum() / total) if total else float("nan")


@attrs.frozen(eq=False, kw_only=True)
class SearchResult:
    """Result of searching P probes among M persons.

    `rank` (P,) is the rank of the probe's person from 1 on, 0 if that person is not in the gallery,
    and `NEVER` if one of the two templates failed. `mate_score` (P,) is that person's score, -inf
    without a mate; `best` (P,) is the highest score of any person, and `first` (P,) the index of
    the gallery template that has it.
    """

    rank: Ranks
    mate_score: Floats
    best: Floats
    first: npt.NDArray[np.int64]

    @property
    def mated(self) -> Bools:
        """Mask (P,) of the probes whose person is in the gallery."""
        mated: Bools = self.rank > 0
        return mated


def search(
    scores: Floats, probe: npt.NDArray[np.int64], gallery: npt.NDArray[np.int64]
) -> SearchResult:
    """Search probes of the persons `probe` (P,) in `gallery` (S,), given their `scores` (P, S).

    A person with several templates scores as the best of them. A score of -inf marks a failed
    template, which has no rank.

    >>> search(np.array([[0.5, 0.9], [0.5, 0.5]]), np.array([1, 1]), np.array([1, 2])).rank
    array([2, 2])
    """
    persons, person_of = np.unique(gallery, return_inverse=True)
    by_person = np.full((len(scores), len(persons)), -np.inf)
    for person in range(len(persons)):
        by_person[:, person] = scores[:, person_of == person].max(axis=1)
    mate = np.searchsorted(persons, probe).clip(max=len(persons) - 1)
    mated = persons[mate] == probe
    mate_score = np.where(mated, by_person[np.arange(len(scores)), mate], -np.inf)
    rank = np.where(np.isfinite(mate_score), ranks(by_person, mate_score), NEVER)
    return SearchResult(
        rank=np.where(mated, rank, 0),
        mate_score=mate_score,
        best=by_person.max(axis=1),
        first=scores.argmax(axis=1),
    )
