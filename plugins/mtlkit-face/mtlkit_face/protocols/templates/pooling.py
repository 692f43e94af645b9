"""Pooling of many pictures into one template.

`media_mean` averages within each medium first, then over media, so a video counts as much as a
photograph. `image_mean` averages all pictures. Both forms are published, and both normalize to unit
length. Well-aligned pictures, if known, are pooled alone (Yin & Liu, TIP 2018).

Shapes: N pictures, templates of length K.
"""

from collections.abc import Callable, Sequence

import numpy as np

from mtlkit_face.protocols.template_store import Rows

Pooling = Callable[[Rows, Sequence[str]], Rows]


def media_mean(rows: Rows, media: Sequence[str]) -> Rows:
    """Return the template (K,) of pictures (N, K) of `media` (N,): each medium counts once.

    >>> rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> media_mean(rows, ["video", "video", "photo"]).round(4).tolist()
    [0.707099974155426, 0.707099974155426]
    """
    names = np.array(media)
    return _unit(np.stack([rows[names == name].mean(axis=0) for name in dict.fromkeys(media)]))


def image_mean(rows: Rows, media: Sequence[str]) -> Rows:
    """Return the template (K,) of pictures (N, K): each picture counts once."""
    return _unit(rows)


POOLINGS: dict[str, Pooling] = {"media-mean": media_mean, "image-mean": image_mean}
"""The two forms; the first one gives the headlines of a result."""


def _unit(rows: Rows) -> Rows:
    mean: Rows = rows.mean(axis=0)
    norm = np.linalg.norm(mean)
    return mean / norm if norm > 0 else np.full_like(mean, np.nan)
