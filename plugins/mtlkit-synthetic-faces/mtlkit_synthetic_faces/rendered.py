"""Render a whole face set, in several processes, with a cache on disk."""

import os
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.cache import cached_images
from mtlkit_synthetic_faces.crew import rendered_by_workers
from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.plan import Rows, plan
from mtlkit_synthetic_faces.rendering.render import Studio
from mtlkit_synthetic_faces.worker import photographs

Images = npt.NDArray[np.uint8]
Index = npt.NDArray[np.intp]
Progress = Callable[[int, int], None]
_WORTH_A_PROCESS = 400  # pictures; below, starting processes costs more than it saves


@attrs.frozen(eq=False)
class RenderedSet:
    """The pictures of a face set and their labels.

    `images` (N,C,H,W) uint8, a read-only memory map when a cache was given; `rows` the labels, row
    i describing image i; `reused` tells that the cache held the set already.
    """

    faces: FaceSet
    images: Images
    rows: Rows
    reused: bool


def _sittings(faces: FaceSet, rows: Rows) -> list[Index]:
    """Which rows show the same (subject, session): they share geometry and shadows."""
    code = rows.subject.astype(np.int64) * faces.sessions + rows.session
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    return np.split(order, starts[1:])


def _processors() -> int:
    """How many processors this process may use, where the system tells, or the machine has."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def _worker_count(asked: int | None, sittings: int, images: int) -> int:
    if asked is not None:
        if asked < 1:
            raise ValueError(f"render_set.workers: found {asked}, expected a whole number >= 1")
        return min(asked, sittings)
    if images < _WORTH_A_PROCESS:
        return 1
    return min(_processors(), sittings)


def _render(
    faces: FaceSet, rows: Rows, sittings: list[Index], workers: int
) -> Generator[tuple[Index, Images], None, None]:
    """(index, pictures) of each sitting."""
    if workers > 1:
        yield from rendered_by_workers(faces, rows, sittings, workers)
        return
    studio = Studio.open(faces)
    for index in sittings:
        yield index, photographs(studio, rows.take(index))


def render_set(
    faces: FaceSet,
    *,
    cache: Path | None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> RenderedSet:
    """Render a face set, or take it from the cache folder.

    `workers` processes share the work by (subject, session); None means all processors that this
    process may use. `progress` is called with (pictures done, pictures in all). A picture depends
    on what it shows and on the set's values, not on the workers, the order or the other subjects.

    Raises ValueError for workers < 1, WorkerError when a worker process dies, and
    OSError where the cache folder cannot be written.
    """
    rows = plan(faces)
    sittings = _sittings(faces, rows)
    count = _worker_count(workers, len(sittings), len(rows))
    shape = (len(rows), faces.channels, faces.size, faces.size)

    def fill(images: Images) -> None:
        done = 0
        # closed here and now, also by Ctrl-C: workers end with the iterator
        with closing(_render(faces, rows, sittings, count)) as shares:
            for index, pictures in shares:
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
