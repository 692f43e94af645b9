"""Scores of pairs, streamed: some pairs at a time, their pictures embedded once and let go."""

import numpy as np
import torch

from mtlkit_face.metrics.roc import Floats
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pairs.pair_set import PairSet

CHUNK = 256
"""Pairs at a time: with 10,575 classes and branches their templates take 43 MB."""


def score_pairs(pairs: PairSet, embedder: ImageEmbedder) -> Floats:
    """The scores (P,) of `pairs`: dot products of templates, each picture embedded once a chunk.

    A pair with a picture that has no template has the score -inf.
    """
    score = np.full(len(pairs), -np.inf)
    for start in range(0, len(pairs), CHUNK):
        places = slice(start, start + CHUNK)
        first, second = pairs.first[places], pairs.second[places]
        needed, place = np.unique(np.concatenate([first, second]), return_inverse=True)
        rows = embedder.templates([pairs.pictures[i] for i in needed]).rows
        one, other = place[: len(first)], place[len(first) :]
        found = (rows[one] * rows[other]).sum(dim=1, dtype=torch.float64).numpy()
        score[places] = np.where(np.isfinite(found), found, -np.inf)
    return score
