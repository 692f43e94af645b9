"""Scores of pairs, computed in chunks to limit memory."""

import numpy as np
import torch

from mtlkit_face.metrics.roc import Floats
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pairs.pair_set import PairSet

CHUNK = 256
"""Pairs in a chunk; with 10,575 classes and branches their templates take 43 MB."""


def score_pairs(pairs: PairSet, embedder: ImageEmbedder) -> Floats:
    """Return the scores (P,) of `pairs`: dot products of templates, -inf without a template.

    Each picture is embedded once a chunk.
    """
    score = np.full(len(pairs), -np.inf)
    for start in range(0, len(pairs), CHUNK):
        chunk = slice(start, start + CHUNK)
        first, second = pairs.first[chunk], pairs.second[chunk]
        used, rows_of = np.unique(np.concatenate([first, second]), return_inverse=True)
        rows = embedder.templates([pairs.pictures[i] for i in used]).rows
        one, other = rows_of[: len(first)], rows_of[len(first) :]
        products = (rows[one] * rows[other]).sum(dim=1, dtype=torch.float64).numpy()
        score[chunk] = np.where(np.isfinite(products), products, -np.inf)
    return score
