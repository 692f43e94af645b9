"""A scene of balls in front of a tilted plane, rendered by rays with exact labels."""

import math

import attrs
import torch

from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.geometry import rotate_directions
from mtlkit.targets.real_map import RealMapTarget
from mtlkit.targets.unit_vector_map import UnitVectorMapTarget
from mtlkit.targets.vector import VectorTarget
from mtlkit.transforms.sample import Sample

CLASSES = ("plane", "left ball", "right ball", "nose")
TARGETS = {
    "parts": ClassMapTarget(names=CLASSES),
    "depth": RealMapTarget(quantity="depth"),
    "disparity": RealMapTarget(quantity="disparity"),
    "normals": UnitVectorMapTarget(),
    "points": VectorTarget(names=("left_x", "left_y", "right_x", "right_y", "nose_x", "nose_y")),
}
EXCHANGED = {0: 0, 1: 2, 2: 1, 3: 3}
"""The class of each ball in a mirror."""


@attrs.frozen
class Ball:
    x: float
    y: float
    z: float
    radius: float
    code: int


@attrs.frozen
class Scene:
    """Balls in front of the plane of the points p with ``normal @ p = -distance``."""

    balls: tuple[Ball, ...] = (
        Ball(-0.5, -0.2, 4.0, 0.45, 1),
        Ball(0.7, 0.1, 5.0, 0.4, 2),
        Ball(0.1, 0.6, 4.5, 0.35, 3),
    )
    normal: tuple[float, float, float] = (0.3, -0.2, -math.sqrt(1 - 0.13))
    distance: float = 6.0
    size: tuple[int, int] = (48, 48)

    def mirrored(self):
        balls = [attrs.evolve(ball, x=-ball.x, code=EXCHANGED[ball.code]) for ball in self.balls]
        return attrs.evolve(self, balls=tuple(balls), normal=(-self.normal[0], *self.normal[1:]))

    def rotated(self, degrees):
        """Turn everything about the optical axis, counterclockwise as seen."""
        balls = []
        for ball in self.balls:
            x, y = rotate_directions(ball.x, ball.y, degrees)
            balls.append(attrs.evolve(ball, x=x, y=y))
        x, y = rotate_directions(*self.normal[:2], degrees)
        return attrs.evolve(self, balls=tuple(balls), normal=(x, y, self.normal[2]))

    def render(self, focal=48.0):
        """Return the sample that a camera of this focal length, in pixels, sees."""
        height, width = self.size
        center_y, center_x = (height - 1) / 2, (width - 1) / 2
        y, x = torch.meshgrid(
            torch.arange(height).double(), torch.arange(width).double(), indexing="ij"
        )
        rays = torch.stack([(x - center_x) / focal, (y - center_y) / focal, torch.ones_like(x)])
        plane = torch.tensor(self.normal, dtype=torch.float64).reshape(3, 1, 1)
        depth = -self.distance / (plane * rays).sum(0)
        normals, parts = plane.expand_as(rays).clone(), torch.zeros(height, width).long()
        for ball in self.balls:
            center = torch.tensor([ball.x, ball.y, ball.z], dtype=torch.float64).reshape(3, 1, 1)
            along, square = (rays * center).sum(0), (rays * rays).sum(0)
            root = along.square() - square * ((center * center).sum() - ball.radius**2)
            near = (along - root.clamp_min(0).sqrt()) / square
            hit = (root > 0) & (near < depth)
            depth = torch.where(hit, near, depth)
            normals = torch.where(hit, (rays * near - center) / ball.radius, normals)
            parts = torch.where(hit, ball.code, parts)
        points = {}
        for ball in self.balls:
            name = ("", "left", "right", "nose")[ball.code]
            points[f"{name}_x"] = focal * ball.x / ball.z + center_x
            points[f"{name}_y"] = focal * ball.y / ball.z + center_y
        shade = (normals * torch.tensor([0.6, 0.0, -0.8]).reshape(3, 1, 1)).sum(0)
        image = torch.stack([parts * 60, (255 / depth), 128 + 120 * shade]).clamp(0, 255)
        labels = {
            "parts": parts,
            "depth": depth.float().unsqueeze(0),
            "disparity": (1 / depth).float().unsqueeze(0),
            "normals": normals.float(),
            "points": torch.tensor([points[name] for name in TARGETS["points"].names]),
        }
        return Sample(image.to(torch.uint8), labels, TARGETS)
