"""Scenes drawn at random."""

import numpy as np

from mtlkit_benchmarks.scenes.rendering import Scene
from mtlkit_benchmarks.scenes.surfaces import Cuboid, Floor, Sphere, Surface, Vector, Wall

_OBJECTS = (2, 5)
"""Smallest and largest number of objects."""


def random_scene(random: np.random.Generator) -> Scene:
    """Return a floor, a wall, and spheres and boxes on the floor."""
    height, distance = random.uniform(0.8, 1.5), random.uniform(5.0, 9.0)
    turn = random.uniform(-0.5, 0.5)
    surfaces: list[Surface] = [
        Floor(
            normal=(0.0, -1.0, 0.0), offset=-height, checks=_checks(random), color=_color(random)
        ),
        Wall(
            normal=(float(np.sin(turn)), 0.0, -float(np.cos(turn))),
            offset=-distance * float(np.cos(turn)),
            checks=_checks(random),
            color=_color(random),
        ),
    ]
    count = int(random.integers(_OBJECTS[0], _OBJECTS[1], endpoint=True))
    surfaces += [_object(random, height) for _ in range(count)]
    light = np.array([random.uniform(-1, 1), random.uniform(-1.5, -0.5), random.uniform(-1, 0)])
    return Scene(surfaces=surfaces, light=_vector(light / np.linalg.norm(light)))


def _object(random: np.random.Generator, height: float) -> Surface:
    """Return a sphere or a box that stands on the floor at `height`."""
    z = random.uniform(2.0, 4.5)
    x = random.uniform(-0.6, 0.6) * z
    if random.random() < 0.5:
        radius = random.uniform(0.3, 0.8)
        return Sphere(
            center=(x, height - radius, z),
            radius=radius,
            checks=_checks(random),
            color=_color(random),
        )
    half = random.uniform(0.25, 0.7, 3)
    return Cuboid(
        center=(x, height - half[1], z),
        half=_vector(half),
        yaw=random.uniform(0, np.pi / 2),
        checks=_checks(random),
        color=_color(random),
    )


def _color(random: np.random.Generator) -> Vector:
    return _vector(random.uniform(0.25, 1.0, 3))


def _checks(random: np.random.Generator) -> float:
    """Return the side of the checks, for half of the surfaces 0."""
    return random.uniform(0.3, 0.8) if random.random() < 0.5 else 0.0


def _vector(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
