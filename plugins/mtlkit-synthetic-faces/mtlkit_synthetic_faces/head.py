"""The head model: vertices from identity weights and face units."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled

Floats = npt.NDArray[np.float32]
HEAD_FILE = Path(__file__).with_name("head.npz")
SKIN, EYE, TEETH, TONGUE, TORSO, HAIR, FRAME, LENS, HAT, SCARF = range(10)
NECK_HEIGHT = 5.9  # below it the body is torso: skin at the neckline, then cloth
_STEP = 0.001  # the unit of the stored displacements


@compiled
def _displace(
    points: Floats,
    weights: Floats,
    starts: npt.NDArray[np.int32],
    vertices: npt.NDArray[np.uint16],
    steps: npt.NDArray[np.int16],
) -> None:
    for target in range(len(weights)):
        weight = weights[target]
        if weight == 0.0:
            continue
        for k in range(starts[target], starts[target + 1]):
            for axis in range(3):
                points[vertices[k], axis] += weight * steps[axis, k]


@attrs.frozen(eq=False)
class HeadModel:
    """A linear head: rest (V,3) in decimeters plus weighted sparse displacements.

    `triangles` (T,3) wind counter-clockwise seen from outside; `material` (T,) is SKIN, EYE, TEETH,
    TONGUE or TORSO; `masks` (M,V) in 0..1 are lips, inside of the mouth, ears, eyelids. Source:
    MakeHuman/MPFB2 and faceunits01, CC0 (see head.LICENSE.txt).

    >>> head = HeadModel.load()
    >>> head.vertices({"unit/jawOpen": 0.5}).shape == head.rest.shape
    True
    """

    rest: Floats
    triangles: npt.NDArray[np.int32]
    material: npt.NDArray[np.uint8]
    masks: Floats
    names: tuple[str, ...]
    starts: npt.NDArray[np.int32]
    target_vertices: npt.NDArray[np.uint16]
    target_steps: npt.NDArray[np.int16]

    @classmethod
    def load(cls, path: Path = HEAD_FILE) -> "HeadModel":
        """Read a file made by scripts/extract_head.py."""
        with np.load(path, allow_pickle=False) as stored:
            rest = (stored["rest"] / 10000).astype(np.float32)
            triangles = stored["triangles"].astype(np.int32)
            material = stored["part"].copy()
            low = rest[triangles, 1].min(1) < NECK_HEIGHT
            material[(material == SKIN) & low] = TORSO
            return cls(
                rest=rest,
                triangles=triangles,
                material=material,
                masks=(stored["masks"] / 15).astype(np.float32),
                names=tuple(stored["target_names"].tobytes().decode().split("\n")),
                starts=stored["target_starts"],
                target_vertices=stored["target_vertices"],
                target_steps=stored["target_steps"],
            )

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def vertices(self, weights: Mapping[str, float], start: Floats | None = None) -> Floats:
        """Return `start` (by default the rest pose) moved by the weighted targets: (V,3).

        Raises KeyError for an unknown target.
        """
        dense = np.zeros(len(self.names), np.float32)
        for name, weight in weights.items():
            dense[self._number[name]] += weight * _STEP
        points = (self.rest if start is None else start).copy()
        _displace(points, dense, self.starts, self.target_vertices, self.target_steps)
        return points

    @cached_property
    def local_groups(self) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
        """Local targets in pairs of opposites, left and right sides together."""
        groups: dict[str, tuple[list[str], list[str]]] = {}
        for name in self.names:
            if not name.startswith("local/") or "/asym/" in name:
                continue
            folder, shape = name.split("/")[1:]
            shape = shape[2:] if shape[:2] in ("l-", "r-") else shape
            stem, _, direction = shape.rpartition("-")
            if direction not in _OPPOSITE:
                stem, direction = shape, "incr"
            groups.setdefault(f"{folder}/{stem}", ([], []))[_OPPOSITE[direction]].append(name)
        return tuple((tuple(a), tuple(b)) for a, b in groups.values())

    @cached_property
    def asymmetries(self) -> tuple[str, ...]:
        """Names of the targets that move one side only."""
        return tuple(name for name in self.names if "/asym/" in name)


_OPPOSITE = {
    **dict.fromkeys(("incr", "out", "up", "forward", "convex", "uncompress"), 0),
    **dict.fromkeys(("decr", "in", "down", "backward", "concave", "compress"), 1),
}


@compiled
def _accumulate_normals(points: Floats, triangles: npt.NDArray[np.int32], out: Floats) -> None:
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ux = points[b, 0] - points[a, 0]
        uy = points[b, 1] - points[a, 1]
        uz = points[b, 2] - points[a, 2]
        vx = points[c, 0] - points[a, 0]
        vy = points[c, 1] - points[a, 1]
        vz = points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (a, b, c):
            out[vertex, 0] += nx
            out[vertex, 1] += ny
            out[vertex, 2] += nz


def vertex_normals(points: Floats, triangles: npt.NDArray[np.int32]) -> Floats:
    """Return unit normals (V,3): the area-weighted mean over the triangles at each vertex."""
    normals = np.zeros_like(points)
    _accumulate_normals(points, triangles, normals)
    length = np.sqrt((normals * normals).sum(1, keepdims=True))
    return np.asarray(normals / np.maximum(length, 1e-12), np.float32)
