"""A set of templates: its splits and pictures, pooled and scored."""

from collections.abc import Callable

import attrs
import numpy as np
import torch

from mtlkit.ops import match_scores
from mtlkit_face.metrics.rank import search
from mtlkit_face.metrics.roc import Floats
from mtlkit_face.protocols.template_store import TemplateStore
from mtlkit_face.protocols.templates.ijb_a_tables import SplitTables, TemplateRows
from mtlkit_face.protocols.templates.measures import SplitScores
from mtlkit_face.protocols.templates.media import Sightings
from mtlkit_face.protocols.templates.pooling import Pooling, Rows


@attrs.frozen(eq=False, kw_only=True)
class TemplateSet:
    """The splits, their pictures, and the indices of well-aligned ones."""

    splits: list[SplitTables]
    sightings: Sightings
    well: frozenset[int]

    def pooled(self, store: TemplateStore, pooling: Pooling, rows: TemplateRows) -> Rows:
        """Return the template (K,) of `rows`, pooled over pictures with one; NaN without any."""
        used = self.used(store, rows)
        if not used:
            return np.full(1, np.nan, np.float32)
        return pooling(store[[index for index, _ in used]], [medium for _, medium in used])

    def used(self, store: TemplateStore, rows: TemplateRows) -> list[tuple[int, str]]:
        """Return the pictures of a template with their media: only well-aligned ones, if any."""
        indices = [self.sightings.index(row) for row in rows.sightings]
        valid = [(i, m) for i, m in zip(indices, rows.media, strict=True) if store.valid[i]]
        well = [(index, medium) for index, medium in valid if index in self.well]
        return well or valid


def score_split(split: SplitTables, pool: Callable[[TemplateRows], Rows]) -> SplitScores:
    """Compute the scores of a split's comparisons and its search, with templates by `pool`."""
    numbers = list(split.verify)
    index = {number: i for i, number in enumerate(numbers)}
    rows = np.stack(_same_width([pool(split.verify[number]) for number in numbers]))
    subjects = np.array([split.verify[number].subject for number in numbers])
    first, second = (
        np.array([index[number] for number in side]) for side in split.comparisons.T.tolist()
    )
    score = np.einsum("pk,pk->p", rows[first], rows[second], dtype=np.float64)
    gallery, probes = (
        np.stack(_same_width([pool(template) for template in side.values()]))
        for side in (split.gallery, split.probes)
    )
    width = max(gallery.shape[1], probes.shape[1])  # a side without templates has one column
    gallery, probes = (np.broadcast_to(r, (len(r), width)) for r in (gallery, probes))
    scores = match_scores(torch.from_numpy(probes.copy()), torch.from_numpy(gallery.copy()))
    of_probes = np.array([template.subject for template in split.probes.values()])
    of_gallery = np.array([template.subject for template in split.gallery.values()])
    return SplitScores(
        score=_without_nan(score),
        first=subjects[first],
        second=subjects[second],
        search=search(_without_nan(scores.double().numpy()), of_probes, of_gallery),
        probe=of_probes,
        failed=int(sum(not np.isfinite(r).all() for side in (rows, gallery, probes) for r in side)),
    )


def _without_nan(scores: Floats) -> Floats:
    """Replace scores of failed templates by -inf, which matches nothing."""
    return np.where(np.isfinite(scores), scores, -np.inf)


def _same_width(rows: list[Rows]) -> list[Rows]:
    """Broadcast failed templates, which have one column, to the width of the others."""
    width = max(len(row) for row in rows)
    return [np.broadcast_to(row, (width,)) if len(row) == 1 else row for row in rows]
