"""The rank of the right person in a gallery, and the share of probes found by it (CMC).

An entry with the very same score stands before the right one: ties count against the model, so that
constant scores earn the last rank.

Shapes: P probes, S gallery templates, M persons in the gallery.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools, Floats

Ranks = npt.NDArray[np.int64]

NEVER = 2**62
"""The rank of whom no list is long enough to show."""


def ranks(scores: npt.NDArray[np.floating], own: npt.NDArray[np.floating]) -> Ranks:
    """The rank (P,), from 1, of the score `own` (P,) among `scores` (P, M), of which it is one.

    A score that is not a number earns the last rank.

    >>> ranks(np.array([[0.5, 0.9], [0.5, 0.5]]), np.array([0.9, 0.5]))
    array([1, 2])
    """
    rank: Ranks = (~(scores < own[:, None])).sum(axis=1)
    return rank


def identification_rate(rank: Ranks, most: int, weight: Floats | None = None) -> float:
    """The share of probes whose rank (P,) is at most `most`; those of rank 0, without a mate in the
    gallery, take no part. With `weight` (P,) each probe counts so many times.

    >>> identification_rate(np.array([1, 3, 0]), 1)
    0.5
    """
    counts = np.where(rank > 0, 1.0 if weight is None else weight, 0.0)
    total = counts.sum()
    return float(counts[rank <= most].sum() / total) if total else float("nan")


@attrs.frozen(eq=False, kw_only=True)
class SearchResult:
    """What a search of P probes among M persons found.

    `rank` (P,) is that of the probe's person, from 1, 0 without a mate in the gallery, and `NEVER`
    where one of the two templates failed; `own` (P,) is that person's score, -inf without; `best`
    (P,) the highest score of any person, and `first` (P,) the gallery template that has it.
    """

    rank: Ranks
    own: Floats
    best: Floats
    first: npt.NDArray[np.int64]

    @property
    def mated(self) -> Bools:
        """Which probes (P,) have their person in the gallery."""
        mated: Bools = self.rank > 0
        return mated


def search(
    scores: Floats, probe: npt.NDArray[np.int64], gallery: npt.NDArray[np.int64]
) -> SearchResult:
    """The search with `scores` (P, S) of probes of persons `probe` (P,) in `gallery` (S,).

    A person with several templates has the best of their scores. A score of -inf stands for a
    failed template, with which nobody is found at any rank.

    >>> search(np.array([[0.5, 0.9], [0.5, 0.5]]), np.array([1, 1]), np.array([1, 2])).rank
    array([2, 2])
    """
    persons, place = np.unique(gallery, return_inverse=True)
    by_person = np.full((len(scores), len(persons)), -np.inf)
    for person in range(len(persons)):
        by_person[:, person] = scores[:, place == person].max(axis=1)
    where = np.searchsorted(persons, probe).clip(max=len(persons) - 1)
    mated = persons[where] == probe
    own = np.where(mated, by_person[np.arange(len(scores)), where], -np.inf)
    rank = np.where(np.isfinite(own), ranks(by_person, own), NEVER)
    return SearchResult(
        rank=np.where(mated, rank, 0),
        own=own,
        best=by_person.max(axis=1),
        first=scores.argmax(axis=1),
    )
