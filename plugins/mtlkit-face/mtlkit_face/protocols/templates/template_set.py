"""A set of templates: its splits and pictures, pooled and scored."""

from collections.abc import Callable

import attrs
import numpy as np
import torch

from mtlkit.ops import match_scores
from mtlkit_face.metrics.rank import search
from mtlkit_face.metrics.roc import Floats
from mtlkit_face.protocols.templates.ijb_a_tables import SplitTables, TemplateRows
from mtlkit_face.protocols.templates.measures import SplitScores
from mtlkit_face.protocols.templates.media import Sightings
from mtlkit_face.protocols.templates.pooling import Pooling, Rows
from mtlkit_face.protocols.templates.template_store import TemplateStore


@attrs.frozen(eq=False, kw_only=True)
class TemplateSet:
    """The splits, their pictures, and which of these (N,) are known to be well aligned."""

    splits: list[SplitTables]
    sightings: Sightings
    well: frozenset[int]

    def pooled(self, store: TemplateStore, pooling: Pooling, rows: TemplateRows) -> Rows:
        """The template (K,) of `rows`, from the pictures that have one; NaN where none has."""
        used = self.used(store, rows)
        if not used:
            return np.full(1, np.nan, np.float32)
        return pooling(store.rows[[place for place, _ in used]], [medium for _, medium in used])

    def used(self, store: TemplateStore, rows: TemplateRows) -> list[tuple[int, str]]:
        """The pictures of a template with their media: the well-aligned alone, if there are any."""
        places = [self.sightings.place(row) for row in rows.sightings]
        there = [(p, m) for p, m in zip(places, rows.media, strict=True) if store.there[p]]
        well = [(place, medium) for place, medium in there if place in self.well]
        return well or there


def score_split(split: SplitTables, pool: Callable[[TemplateRows], Rows]) -> SplitScores:
    """The scores of a split's comparisons, and its search, of templates by `pool`."""
    numbers = list(split.verify)
    place = {number: i for i, number in enumerate(numbers)}
    rows = np.stack(_even([pool(split.verify[number]) for number in numbers]))
    subjects = np.array([split.verify[number].subject for number in numbers])
    first, second = (
        np.array([place[number] for number in side]) for side in split.comparisons.T.tolist()
    )
    score = np.einsum("pk,pk->p", rows[first], rows[second], dtype=np.float64)
    gallery, probes = (
        np.stack(_even([pool(each) for each in side.values()]))
        for side in (split.gallery, split.probes)
    )
    width = max(gallery.shape[1], probes.shape[1])  # a side that failed whole has one column
    gallery, probes = (np.broadcast_to(r, (len(r), width)) for r in (gallery, probes))
    scores = match_scores(torch.from_numpy(probes.copy()), torch.from_numpy(gallery.copy()))
    of_probes = np.array([each.subject for each in split.probes.values()])
    of_gallery = np.array([each.subject for each in split.gallery.values()])
    return SplitScores(
        score=_known(score),
        first=subjects[first],
        second=subjects[second],
        search=search(_known(scores.double().numpy()), of_probes, of_gallery),
        probe=of_probes,
        failed=int(sum(not np.isfinite(r).all() for side in (rows, gallery, probes) for r in side)),
    )


def _known(scores: Floats) -> Floats:
    """A template that failed matches nothing."""
    return np.where(np.isfinite(scores), scores, -np.inf)


def _even(rows: list[Rows]) -> list[Rows]:
    """Templates that failed, which have one number, as wide as the others."""
    width = max(len(row) for row in rows)
    return [np.broadcast_to(row, (width,)) if len(row) == 1 else row for row in rows]
