"""Render a whole face set, in several processes, with a cache on disk."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_face.synthetic.cache import cached_images
from mtlkit_face.synthetic.face_set import FaceSet
from mtlkit_face.synthetic.plan import Rows, plan
from mtlkit_face.synthetic.render import Sitting, Studio

Images = npt.NDArray[np.uint8]
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


@attrs.frozen(eq=False)
class _Unit:
    """The share of one (subject, session): geometry and shadows are made once for all its rows."""

    faces: FaceSet
    subject: int
    session: int
    index: npt.NDArray[np.intp]
    rows: Rows


@lru_cache(maxsize=1)
def _studio(faces: FaceSet) -> Studio:
    """The studio of a set, opened once a process."""
    return Studio.open(faces)


def _render_unit(unit: _Unit) -> tuple[npt.NDArray[np.intp], Images]:
    sitting = Sitting.of(_studio(unit.faces), unit.subject, unit.session)
    return unit.index, sitting.photographs(unit.rows)


def _units(faces: FaceSet, rows: Rows) -> Iterator[_Unit]:
    code = rows.subject.astype(np.int64) * faces.sessions + rows.session
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    for index in np.split(order, starts[1:]):
        subject, session = int(rows.subject[index[0]]), int(rows.session[index[0]])
        yield _Unit(faces, subject, session, index, rows.take(index))


def _worker_count(asked: int | None, units: int, images: int) -> int:
    if asked is not None:
        if asked < 1:
            raise ValueError(f"render_set.workers: found {asked}, expected a whole number >= 1")
        return min(asked, units)
    if images < _WORTH_A_PROCESS:
        return 1
    # what this process may use, not what the machine has
    return min(len(os.sched_getaffinity(0)), units)


def _fill(images: Images, units: list[_Unit], workers: int, progress: Progress | None) -> None:
    """Render all units into `images` (N,C,H,W)."""
    done = 0

    def keep(index: npt.NDArray[np.intp], pictures: Images) -> None:
        nonlocal done
        images[index] = pictures
        done += len(index)
        if progress is not None:
            progress(done, len(images))

    if workers == 1:
        for unit in units:
            keep(*_render_unit(unit))
        return
    # spawned, not forked: a forked child of a program with threads can hang
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        for future in as_completed([pool.submit(_render_unit, unit) for unit in units]):
            keep(*future.result())
    except BrokenProcessPool as error:
        raise RuntimeError(
            "render_set: found a worker process that died, expected it to live; a script needs "
            "`if __name__ == '__main__':` around the call, or use workers=1"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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

    Raises ValueError for workers < 1, RuntimeError when a worker process dies.
    """
    rows = plan(faces)
    units = list(_units(faces, rows))
    count = _worker_count(workers, len(units), len(rows))
    shape = (len(rows), faces.channels, faces.size, faces.size)

    def fill(images: Images) -> None:
        _fill(images, units, count, progress)

    if cache is not None:
        images, reused = cached_images(Path(cache), faces, shape, fill)
        return RenderedSet(faces, images, rows, reused)
    images = np.empty(shape, np.uint8)
    fill(images)
    return RenderedSet(faces, images, rows, False)
