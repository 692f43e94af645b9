"""Rendering of whole face sets, in several processes and with a cache on disk."""

import os
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.cache import cached_images
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import FacePlan, plan
from mtlkit_synthetic_faces.rendering.render import Studio
from mtlkit_synthetic_faces.worker import photographs
from mtlkit_synthetic_faces.worker_pool import rendered_by_workers

Images = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]
_MIN_PARALLEL = 400  # pictures; starting processes takes longer than rendering fewer


@attrs.frozen(eq=False)
class RenderedSet:
    """The pictures of a face set and their labels.

    `images` (N,C,H,W) uint8 are a read-only memory map if a cache was given; row i of the labels
    `rows` describes image i; `reused` is true if the cache held the set already.
    """

    faces: FaceSet
    images: Images
    rows: FacePlan
    reused: bool


def _groups(faces: FaceSet, rows: FacePlan) -> list[Index]:
    """Return the row indices of each (subject, session), which shares geometry and shadows."""
    code = rows.subject.astype(np.int64) * faces.sessions + rows.session
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    return np.split(order, starts[1:])


def _processors() -> int:
    """Return the number of processors this process may use, or else that of the machine."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _worker_count(workers: int | None, groups: int, images: int) -> int:
    if workers is not None:
        if workers < 1:
            raise ValueError(f"render_set.workers: got {workers}, expected a whole number >= 1")
        return min(workers, groups)
    if images < _MIN_PARALLEL:
        return 1
    return min(_processors(), groups)


def _render(
    faces: FaceSet, rows: FacePlan, groups: list[Index], workers: int
) -> Generator[tuple[Index, Images], None, None]:
    """Yield (index, pictures) of each group."""
    if workers > 1:
        yield from rendered_by_workers(faces, rows, groups, workers)
        return
    studio = Studio.open(faces)
    for index in groups:
        yield index, photographs(studio, rows.take(index))


def render_set(
    faces: FaceSet,
    *,
    cache: Path | None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> RenderedSet:
    """Render a face set, or load it from the cache folder.

    `workers` processes share the work by (subject, session); None means all processors that this
    process may use. `progress` is called with (pictures done, pictures in all). A picture depends
    on its factors and the set's options, not on the workers, the order or the other subjects.

    Raises ValueError for workers < 1, WorkerError if a worker process dies, and OSError if the
    cache folder is not writable.
    """
    rows = plan(faces)
    groups = _groups(faces, rows)
    count = _worker_count(workers, len(groups), len(rows))
    shape = (len(rows), faces.channels, faces.size, faces.size)

    def fill(images: Images) -> None:
        done = 0
        # closing the iterator ends the workers, also after Ctrl-C
        with closing(_render(faces, rows, groups, count)) as finished:
            for index, pictures in finished:
                images[index] = pictures
                done += len(index)
                if progress is not None:
                    progress(done, len(images))

    if cache is not None:
        images, reused = cached_images(Path(cache), faces, shape, fill)
        return RenderedSet(faces, images, rows, reused)
    images = np.empty(shape, np.uint8)
    fill(images)
    return RenderedSet(faces, images, rows, False)
