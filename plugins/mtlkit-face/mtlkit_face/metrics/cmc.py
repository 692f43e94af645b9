"""The rank of the right person in a gallery, and the share of probes found by it (CMC).

Closed set: probes whose person is in the gallery (mated probes). A person with several templates
has the best of their scores. A rival with the very same score stands before the right person: ties
count against the model, so that constant scores earn the last rank.

Shapes: P probes, S gallery templates, M persons in the gallery.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.metrics.roc import Bools, Floats

NEVER = 2**62
"""The rank of whom no list is long enough to show."""


@attrs.frozen(eq=False, kw_only=True)
class Search:
    """What a search of P probes among M persons found.

    `mated` (P,) says whose person is in the gallery; `rank` (P,) is that person's, from 1, 0
    without a mate, and `NEVER` where one of the two templates failed; `own` (P,) is that person's
    score, -inf without; `best` (P,) the highest score of any person, and `first` (P,) the gallery
    template that has it.
    """

    mated: Bools
    rank: npt.NDArray[np.int64]
    own: Floats
    best: Floats
    first: npt.NDArray[np.int64]


def search(scores: Floats, probe: npt.NDArray[np.int64], gallery: npt.NDArray[np.int64]) -> Search:
    """The search with `scores` (P, S) of probes of persons `probe` (P,) in `gallery` (S,).

    A score of -inf stands for a failed template, with which nobody is found at any rank.

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
    rank = (by_person >= own[:, None]).sum(axis=1)
    return Search(
        mated=mated,
        rank=np.where(mated, np.where(np.isfinite(own), rank, NEVER), 0),
        own=own,
        best=by_person.max(axis=1),
        first=scores.argmax(axis=1),
    )


def rank_share(found: Search, most: int, weight: Floats | None = None) -> float:
    """The share of mated probes whose person has a rank of at most `most`."""
    counts = np.where(found.mated, 1.0 if weight is None else weight, 0.0)
    total = counts.sum()
    hit = (found.rank <= most) & found.mated
    return float(counts[hit].sum() / total) if total else float("nan")
