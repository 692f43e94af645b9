"""One template of many pictures: the mean within each medium first, then over media.

A video of a hundred frames counts as much as a photograph, not a hundred times as much. The mean
of all pictures alike is the other form that is published; both are normalised to unit length, and
a result says which it is. Where it is known which pictures are well aligned, these alone are
pooled, if there are any (Yin & Liu, TIP 2018).

Shapes: N pictures, K numbers of a template.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
Pooling = Callable[[Rows, Sequence[str]], Rows]


def media_mean(rows: Rows, media: Sequence[str]) -> Rows:
    """The template (K,) of pictures (N, K) of `media` (N,): each medium counts once.

    >>> rows = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> media_mean(rows, ["video", "video", "photo"]).round(4).tolist()
    [0.707099974155426, 0.707099974155426]
    """
    names = np.array(media)
    return _unit(np.stack([rows[names == name].mean(axis=0) for name in dict.fromkeys(media)]))


def image_mean(rows: Rows, media: Sequence[str]) -> Rows:
    """The template (K,) of pictures (N, K): each picture counts once, whatever its medium."""
    return _unit(rows)


POOLINGS: dict[str, Pooling] = {"media-mean": media_mean, "image-mean": image_mean}
"""The two forms; the first one is a result's headline."""


def _unit(rows: Rows) -> Rows:
    mean: Rows = rows.mean(axis=0)
    length = np.linalg.norm(mean)
    return mean / length if length > 0 else np.full_like(mean, np.nan)
