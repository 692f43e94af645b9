"""A cache folder of rendered sets, written atomically and verified before reuse.

Each set is a folder `faces-KEY` with `images.npy` and `manifest.json`. It is written under a
temporary name, flushed to the disk and then renamed. A lock lets one process at a time render a
set; a second process waits and then loads the result.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from mtlkit_synthetic_faces.face_set import FaceSet
from mtlkit_synthetic_faces.head import HEAD_FILE
from mtlkit_synthetic_faces.plan import plan

Images = npt.NDArray[np.uint8]
Map = np.memmap[tuple[int, ...], np.dtype[np.uint8]]
GENERATOR_VERSION = 3
"""Raise it with every change of the rendered pictures; a test on pinned pictures checks it."""
_LOG = logging.getLogger(__name__)
_IMAGES, _MANIFEST = "images.npy", "manifest.json"
_CHUNK = 1 << 24


def cache_key(faces: FaceSet) -> str:
    """Return the key of a set: a hash of its options, plan, head model and generator version.

    >>> cache_key(FaceSet()) == cache_key(FaceSet(seed=1))
    False
    """
    values = json.dumps(attrs.asdict(faces), sort_keys=True)
    head = hashlib.sha256(HEAD_FILE.read_bytes()).hexdigest()
    columns = attrs.astuple(plan(faces), recurse=False)
    planned = hashlib.sha256(np.stack(columns).astype("<i4").tobytes()).hexdigest()
    content = f"{GENERATOR_VERSION} {head} {planned} {values}"
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _zeros(path: Path, shape: tuple[int, ...]) -> Map:
    """Create a memory map (N,...) and write all its zeros; raises OSError if the disk is full.

    Writing a page of the map to a full disk later would kill the process (SIGBUS).
    """
    images: Map = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    with path.open("r+b") as stream:
        stream.seek(images.offset)
        for start in range(0, images.nbytes, _CHUNK):
            stream.write(bytes(min(_CHUNK, images.nbytes - start)))
    return images


def _fault(folder: Path, shape: tuple[int, ...]) -> str | None:
    """Return an error of a stored set, "got ..., expected ...", or None if it is intact."""
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        expected = manifest["sha256"]
        stored = np.load(folder / _IMAGES, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
        return f"got an unreadable file ({error}), expected {_IMAGES} and {_MANIFEST}"
    if stored.shape != shape or stored.dtype != np.uint8:
        return f"got {stored.dtype} {stored.shape}, expected uint8 {shape}"
    actual = _sha256(folder / _IMAGES)
    return None if actual == expected else f"got sha256 {actual}, expected {expected}"


def _load(folder: Path) -> Images:
    images: Images = np.load(folder / _IMAGES, mmap_mode="r", allow_pickle=False)
    return images


def _store(folder: Path, faces: FaceSet, shape: tuple[int, ...], fill: Callable[[Images], None]
           ) -> None:  # fmt: skip
    """Write images and manifest into a temporary folder and wait until they are on the disk."""
    path = folder / _IMAGES
    images = _zeros(path, shape)
    fill(images)
    images.flush()
    del images
    flush(path)
    manifest = {
        "sha256": _sha256(path),
        "generator": GENERATOR_VERSION,
        "faces": attrs.asdict(faces),
    }
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    flush(folder / _MANIFEST)
    flush(folder)


@contextmanager
def _locked(lock: FileLock, final: Path) -> Iterator[None]:
    """Hold the lock of a set, after waiting for a process that renders it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _LOG.warning("%s: another process renders this set; waiting for it", final)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _create(final: Path, faces: FaceSet, shape: tuple[int, ...], fill: Callable[[Images], None]
          ) -> None:  # fmt: skip
    """Render a set into place; the caller holds its lock."""
    for leftover in final.parent.glob(f".{final.name}.*/"):  # of killed processes
        shutil.rmtree(leftover)
    if final.exists():
        shutil.rmtree(final)
    temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        _store(temporary, faces, shape, fill)
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    flush(final.parent)


def cached_images(
    root: Path, faces: FaceSet, shape: tuple[int, ...], fill: Callable[[Images], None]
) -> tuple[Images, bool]:
    """Return the images of a set (a read-only memory map), and whether they were cached.

    `fill` renders into the given array if the set is missing or damaged. A damaged set is logged
    as a warning by `mtlkit_synthetic_faces.cache`.

    Raises OSError if the disk fails; only the empty lock file remains then.
    """
    final = root / f"faces-{cache_key(faces)}"
    if _fault(final, shape) is None:  # without the lock: the cache may be read-only
        return _load(final), True
    root.mkdir(parents=True, exist_ok=True)
    with _locked(FileLock(root / f".{final.name}.lock"), final):
        fault = _fault(final, shape)
        if fault is None:
            return _load(final), True  # another process rendered it meanwhile
        if final.exists():
            _LOG.warning("%s: %s; rendering the set again", final, fault)
        _create(final, faces, shape, fill)
    return _load(final), False
