"""Templates of many pictures, embedded once and kept in a temporary file rather than in memory."""

import tempfile
from collections.abc import Sequence

import attrs
import numpy as np

from mtlkit_face.metrics.roc import Bools
from mtlkit_face.protocols.embedding import ImageEmbedder
from mtlkit_face.protocols.pictures import FaceImage
from mtlkit_face.protocols.templates.pooling import Rows

CHUNK = 1024


@attrs.frozen(eq=False)
class TemplateStore:
    """The template of each picture (N, K) in a file that is gone with it; which are there (N,)."""

    rows: Rows
    there: Bools


def store_templates(pictures: Sequence[FaceImage], embedder: ImageEmbedder) -> TemplateStore:
    """Embed all `pictures`, a thousand at a time."""
    there = np.zeros(len(pictures), bool)
    rows: Rows | None = None
    with tempfile.TemporaryFile() as file:  # the mapping outlives the name
        for start in range(0, len(pictures), CHUNK):
            found = embedder.templates(pictures[start : start + CHUNK]).rows.numpy()
            whole = np.isfinite(found).all(axis=1)
            if rows is None and whole.any():
                shape = (len(pictures), found.shape[1])
                rows = np.memmap(file, np.float32, "w+", shape=shape)
            if rows is not None:
                rows[start : start + len(found)][whole] = found[whole]
            there[start : start + len(found)] = whole
    return TemplateStore(np.zeros((len(pictures), 1), np.float32) if rows is None else rows, there)
