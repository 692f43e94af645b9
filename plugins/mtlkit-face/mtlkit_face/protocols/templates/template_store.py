"""Storage of the templates of many pictures in a temporary file."""

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
    """Templates of pictures (N, K) in a temporary file; `valid` (N,) is false for failed ones."""

    rows: Rows
    valid: Bools


def store_templates(pictures: Sequence[FaceImage], embedder: ImageEmbedder) -> TemplateStore:
    """Embed all `pictures`, in chunks."""
    valid = np.zeros(len(pictures), bool)
    rows: Rows | None = None
    with tempfile.TemporaryFile() as file:  # the memory map outlives it
        for start in range(0, len(pictures), CHUNK):
            templates = embedder.templates(pictures[start : start + CHUNK]).rows.numpy()
            finite = np.isfinite(templates).all(axis=1)
            if rows is None and finite.any():
                shape = (len(pictures), templates.shape[1])
                rows = np.memmap(file, np.float32, "w+", shape=shape)
            if rows is not None:
                rows[start : start + len(templates)][finite] = templates[finite]
            valid[start : start + len(templates)] = finite
    return TemplateStore(np.zeros((len(pictures), 1), np.float32) if rows is None else rows, valid)
