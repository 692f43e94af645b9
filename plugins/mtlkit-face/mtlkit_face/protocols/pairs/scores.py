"""Scores of the pairs of all parts of a set, each picture embedded once for all of them."""

from collections.abc import Mapping

import numpy as np

from mtlkit_face.metrics.roc import Floats
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pairs.pair_set import Indices, PairSet
from mtlkit_face.protocols.template_store import TemplateStore, store_templates

CHUNK = 256
"""Pairs in a chunk; with 10,575 classes and branches their templates take 43 MB."""


def score_parts(parts: Mapping[str, PairSet], embedder: ImageEmbedder) -> dict[str, Floats]:
    """Return the scores (P,) of the pairs of each part: dot products, -inf without a template."""
    used = {part: pairs.used() for part, pairs in parts.items()}
    pictures = [parts[part].pictures[i] for part, indices in used.items() for i in indices]
    scores, start = {}, 0
    with store_templates(pictures, embedder) as store:
        for part, pairs in parts.items():
            at = np.full(len(pairs.pictures), -1)
            at[used[part]] = np.arange(start, start := start + len(used[part]))
            scores[part] = _score(store, at[pairs.first], at[pairs.second])
    return scores


def _score(store: TemplateStore, first: Indices, second: Indices) -> Floats:
    score = np.empty(len(first))
    for start in range(0, len(first), CHUNK):
        chunk = slice(start, start + CHUNK)
        products = (store[first[chunk]] * store[second[chunk]]).sum(axis=1, dtype=np.float64)
        score[chunk] = np.where(np.isfinite(products), products, -np.inf)
    return score
