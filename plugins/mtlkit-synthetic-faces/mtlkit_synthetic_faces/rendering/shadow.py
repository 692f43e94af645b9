"""Shadow maps of the flashes, and the room's light with its occlusion.

Shadow maps depend on the geometry and the light, not on the camera, so all poses share them.
"""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit_synthetic_faces.compiled import compiled
from mtlkit_synthetic_faces.protocol import Light
from mtlkit_synthetic_faces.rendering.raster import FAR, visible_triangles

Floats = npt.NDArray[np.float32]
REACH = 2.05  # half the width of a light's view, in decimeters
_ROOM_TEXELS = 56


@attrs.frozen(eq=False)
class Mesh:
    """A scene: vertices, unit normals, triangles, materials, texel corners, alpha."""

    points: Floats
    normals: Floats
    triangles: npt.NDArray[np.int32]
    material: npt.NDArray[np.uint8]
    corners: Floats
    alpha: Floats


@attrs.frozen(eq=False)
class Beam:
    """A parallel light: unit `direction` (3,) towards it, `right` and `up` of its view."""

    direction: Floats
    right: Floats
    up: Floats

    @property
    def axes(self) -> Floats:
        """The axes (3,3), with the rows right, down, away."""
        return np.stack([self.right, -self.up, -self.direction])

    @classmethod
    def towards(cls, direction: npt.NDArray[np.floating]) -> "Beam":
        """Create the beam from a direction."""
        unit = np.asarray(direction / np.linalg.norm(direction), np.float32)
        helper = np.array([0, 1, 0] if abs(unit[1]) < 0.9 else [0, 0, 1], np.float32)
        right = np.cross(helper, unit)
        right = (right / np.linalg.norm(right)).astype(np.float32)
        return cls(unit, right, np.cross(unit, right).astype(np.float32))


@attrs.frozen(eq=False)
class Room:
    """The soft light of a room: beams evenly spread by the golden angle, and their power.

    The room is brighter above and in front. `whole` is the irradiance of a free surface facing it.
    """

    beams: tuple[Beam, ...]
    power: tuple[float, ...]
    whole: float

    @classmethod
    def of(cls, directions: int = 32) -> "Room":
        """Create a room of `directions` beams."""
        k = np.arange(directions) + 0.5
        height = 1 - 2 * k / directions
        turn = np.pi * (1 + np.sqrt(5)) * k
        level = np.sqrt(1 - height**2)
        spread = np.stack([level * np.cos(turn), height, level * np.sin(turn)], 1)
        power = np.maximum(0.5 + 0.45 * spread[:, 1] + 0.45 * spread[:, 2], 0.08)
        facing = np.maximum(spread @ np.array([0.0, 0.35, 0.937]), 0)
        beams = tuple(Beam.towards(direction) for direction in spread)
        return cls(beams, tuple(power.tolist()), float(power @ facing))


def beam_of(light: Light) -> Beam:
    """Return the beam of a flash; azimuth +90 is on the side of the camera at yaw +90."""
    azimuth, elevation = np.radians(light.azimuth), np.radians(light.elevation)
    level = np.cos(elevation)
    return Beam.towards(
        np.array([-np.sin(azimuth) * level, np.sin(elevation), np.cos(azimuth) * level])
    )


@compiled
def _turned(points: Floats, middle: Floats, axes: Floats, scale: float, out: Floats) -> None:
    half, length = np.float32(scale), np.float32(scale / REACH)
    for i in range(len(points)):
        x, y, z = points[i, 0] - middle[0], points[i, 1] - middle[1], points[i, 2] - middle[2]
        out[i, 0] = (x * axes[0, 0] + y * axes[0, 1] + z * axes[0, 2]) * length + half
        out[i, 1] = (x * axes[1, 0] + y * axes[1, 1] + z * axes[1, 2]) * length + half
        out[i, 2] = x * axes[2, 0] + y * axes[2, 1] + z * axes[2, 2]


def _view(mesh: Mesh, beam: Beam, middle: Floats, texels: int) -> Floats:
    """Return vertices (V,3) in the light's view: column, row in texels, distance in decimeters."""
    view = np.empty_like(mesh.points)
    _turned(mesh.points, middle, beam.axes, texels / 2, view)
    return view


def shadow_map(mesh: Mesh, beam: Beam, middle: Floats, texels: int) -> Floats:
    """Return the distance (texels, texels) of the nearest surface along the beam, or FAR."""
    return _distances(mesh, _view(mesh, beam, middle, texels), texels)


def _distances(mesh: Mesh, view: Floats, texels: int) -> Floats:
    """Return the distance (texels, texels) of the nearest surface in a `view` (V,3), or FAR.

    Surfaces facing away are skipped: the head is closed, so others hide them.
    """
    depth = np.full((texels, texels), FAR, np.float32)
    nearest = np.full((texels, texels), -1, np.int32)
    visible_triangles(view, mesh.triangles, mesh.material, mesh.corners, mesh.alpha, depth, nearest)
    return depth


@compiled
def _gather(
    view: Floats, normals: Floats, depth: Floats, direction: Floats, power: float, out: Floats
) -> None:
    rows, columns = depth.shape
    for i in range(len(view)):
        facing = normals[i, 0] * direction[0] + normals[i, 1] * direction[1]
        facing += normals[i, 2] * direction[2]
        if facing <= 0:
            continue
        column, row = int(view[i, 0]), int(view[i, 1])
        if 0 <= column < columns and 0 <= row < rows and view[i, 2] - 0.09 > depth[row, column]:
            continue
        out[i] += facing * power


def room_light(mesh: Mesh, room: Room, middle: Floats) -> Floats:
    """Return the irradiance (V,) by the room at each vertex, 1 for a free surface facing it.

    Parts hidden from the room by hair, brows, nose and chin are dark.
    """
    total = np.zeros(len(mesh.points), np.float32)
    for beam, power in zip(room.beams, room.power, strict=True):
        view = _view(mesh, beam, middle, _ROOM_TEXELS)
        depth = _distances(mesh, view, _ROOM_TEXELS)
        _gather(view, mesh.normals, depth, beam.direction, power, total)
    return np.asarray(0.04 + total / np.float32(room.whole), np.float32)
