"""Surfaces of a scene, and their first intersection with the rays of a camera.

Coordinates are those of the camera: x right, y down, z forward. A ray (x, y, 1) starts at the
origin, so that the distance along it is the depth z of the point.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]


@attrs.frozen(kw_only=True)
class Surface(ABC):
    """A colored surface: `color` (red, green, blue) and `checks`, the side of its checker, in 0..1.

    `checks` 0 is a plain color.
    """

    name: ClassVar[str]
    color: Vector = (0.5, 0.5, 0.5)
    checks: float = 0.0

    @abstractmethod
    def hit(self, rays: Array) -> tuple[Array, Array]:
        """Return the depth (M,) of the first point on each ray (M, 3), and the normal there.

        The depth is inf for none. Normals (M, 3) have length 1 and point toward the camera.
        """


@attrs.frozen(kw_only=True)
class Plane(Surface):
    """The points p with `normal` . p = `offset`; the normal has length 1 and faces the camera.

    >>> floor = Floor(normal=(0.0, -1.0, 0.0), offset=-1.0)
    >>> depth, normal = floor.hit(np.array([[0.0, 0.5, 1.0], [0.0, -0.5, 1.0]]))
    >>> depth.tolist()
    [2.0, inf]
    """

    normal: Vector
    offset: float

    def hit(self, rays: Array) -> tuple[Array, Array]:
        toward = rays @ np.array(self.normal)
        facing = toward < 0
        depth = np.where(facing, self.offset / np.where(facing, toward, 1.0), np.inf)
        return depth, np.broadcast_to(np.array(self.normal), rays.shape)


@attrs.frozen(kw_only=True)
class Floor(Plane):
    """The plane on which objects stand."""

    name: ClassVar[str] = "floor"


@attrs.frozen(kw_only=True)
class Wall(Plane):
    """The plane behind all objects."""

    name: ClassVar[str] = "wall"


@attrs.frozen(kw_only=True)
class Sphere(Surface):
    """A sphere in front of the camera, which is outside it."""

    name: ClassVar[str] = "sphere"

    center: Vector
    radius: float

    def hit(self, rays: Array) -> tuple[Array, Array]:
        center = np.array(self.center)
        a, b = (rays**2).sum(axis=1), rays @ center
        discriminant = b**2 - a * (center @ center - self.radius**2)
        inside = discriminant > 0
        depth = (b - np.sqrt(np.where(inside, discriminant, 0.0))) / a
        normal = (rays * depth[:, None] - center) / self.radius
        return np.where(inside & (depth > 0), depth, np.inf), normal


@attrs.frozen(kw_only=True)
class Cuboid(Surface):
    """A box with half sides `half`, turned by `yaw` radians about the vertical axis."""

    name: ClassVar[str] = "box"

    center: Vector
    half: Vector
    yaw: float = 0.0

    def hit(self, rays: Array) -> tuple[Array, Array]:
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        axes = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])  # one axis in a row
        start, step = -axes @ np.array(self.center), rays @ axes.T
        step = np.where(step == 0, 1e-300, step)  # parallel to a face: its slab is met at infinity
        first = (-np.sign(step) * np.array(self.half) - start) / step
        last = (np.sign(step) * np.array(self.half) - start) / step
        enter, leave = first.max(axis=1), last.min(axis=1)
        axis = first.argmax(axis=1)
        side = -np.sign(np.take_along_axis(step, axis[:, None], axis=1))
        return np.where((enter < leave) & (enter > 0), enter, np.inf), axes[axis] * side
