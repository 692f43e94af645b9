"""Rendering of a scene: an image with the exact depth, normal and class of each pixel."""

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from mtlkit_benchmarks.scenes.surfaces import Array, Cuboid, Floor, Sphere, Surface, Vector, Wall

CLASSES = tuple(kind.name for kind in (Floor, Wall, Sphere, Cuboid))
"""Names of the classes of pixels."""

_AMBIENT = 0.35


@attrs.frozen(kw_only=True)
class Scene:
    """Surfaces, and the direction (a unit vector) toward a light at infinity."""

    surfaces: Sequence[Surface]
    light: Vector = (0.0, -1.0, 0.0)


@attrs.frozen(eq=False, kw_only=True)
class SceneView:
    """An image (3, H, W) in 0..1, depth (H, W), normals (3, H, W) and codes of `CLASSES` (H, W).

    Where a ray meets no surface, depth is NaN, the normal all zero and the code -1.
    """

    image: Array
    depth: Array
    normals: Array
    classes: NDArray[np.int64]


def rays_of(height: int, width: int) -> Array:
    """Return the rays (H, W, 3) through the centers of the pixels.

    The camera has square pixels; the longer side spans -0.75 to 0.75 at depth 1.
    """
    scale = 1.5 / max(height, width)
    rows = (np.arange(height) + 0.5 - height / 2) * scale
    columns = (np.arange(width) + 0.5 - width / 2) * scale
    y, x = np.meshgrid(rows, columns, indexing="ij")
    return np.stack([x, y, np.ones_like(x)], axis=-1)


def render(scene: Scene, height: int, width: int) -> SceneView:
    """Return the view of `scene` in pixels of `height` rows and `width` columns.

    >>> wall = Wall(normal=(0.0, 0.0, -1.0), offset=-4.0)
    >>> float(render(Scene(surfaces=[wall]), 2, 2).depth[0, 0])
    4.0
    """
    rays = rays_of(height, width).reshape(-1, 3)
    hits = [surface.hit(rays) for surface in scene.surfaces]
    depths = np.stack([depth for depth, _ in hits])
    nearest, pixel = depths.argmin(axis=0), np.arange(len(rays))
    depth = depths[nearest, pixel]
    hit = np.isfinite(depth)
    normals = np.where(hit[:, None], np.stack([n for _, n in hits])[nearest, pixel], 0.0)
    codes = np.array([CLASSES.index(surface.name) for surface in scene.surfaces])[nearest]
    points = rays * np.where(hit, depth, 0.0)[:, None]
    color = np.stack([_colors(surface, points) for surface in scene.surfaces])[nearest, pixel]
    shade = _AMBIENT + (1 - _AMBIENT) * (normals @ np.array(scene.light)).clip(min=0)
    image = np.where(hit[:, None], color * shade[:, None], 0.0)
    return SceneView(
        image=image.T.reshape(3, height, width),
        depth=np.where(hit, depth, np.nan).reshape(height, width),
        normals=normals.T.reshape(3, height, width),
        classes=np.where(hit, codes, -1).reshape(height, width),
    )


def _colors(surface: Surface, points: Array) -> Array:
    """Return the color (M, 3) of a surface at `points`; every other check has half of it."""
    color = np.broadcast_to(np.array(surface.color), points.shape)
    if surface.checks == 0:
        return color
    dark = np.floor(points / surface.checks + 1e-6).sum(axis=1) % 2 == 1
    return np.where(dark[:, None], color / 2, color)
