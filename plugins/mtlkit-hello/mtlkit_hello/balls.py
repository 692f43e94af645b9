"""The data source `balls`, with labels of pixels."""

from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data import (
    ClassMapTarget,
    Data,
    DataSource,
    Frame,
    Labels,
    Loading,
    MultiLabelTarget,
    RealMapTarget,
    Split,
    Target,
    read_new_images,
)
from mtlkit.plugins import MISSING, at_least

PARTS = ("ground", "ball")
TRAITS = ("near", "left", "bright")


@attrs.frozen(kw_only=True)
class Balls(DataSource):
    """Drawn images of a ball, with a class and a depth of each pixel, and three traits of the ball.

    The labels are `parts`, `depth` and `traits`. `samples` images of `size` pixels a side are drawn
    for training, a quarter as many for validation and for the test. The first row of `parts` has no
    label, and the depth of the ground is unknown in every fourth image.
    """

    samples: int = attrs.field(default=200, validator=at_least(8))
    size: int = attrs.field(default=16, validator=at_least(8))
    seed: int = attrs.field(default=0, validator=at_least(0))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {"parts": ClassMapTarget, "depth": RealMapTarget, "traits": MultiLabelTarget}

    def load(self, loading: Loading) -> Data:
        first, second, third = (self.samples * quarters // 4 for quarters in (4, 5, 6))
        return Data(
            train=self._split(range(first)),
            validation=self._split(range(first, second)),
            test=self._split(range(second, third)),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return new images: a file, a folder, a table of files or a list of paths."""
        return read_new_images(rows, Frame(self.size, self.size, channels=1), loading)

    def _split(self, numbers: range) -> Split:
        samples = [draw_ball(self.size, self.seed, number) for number in numbers]
        images, parts, depth, traits = map(torch.stack, zip(*samples, strict=True))
        return Split(
            inputs=images,
            # a column is a type of labels, and the labels: a tensor, or rows read on access
            columns={
                "parts": Labels(ClassMapTarget(names=PARTS), parts),
                "depth": Labels(RealMapTarget(quantity="depth"), depth),
                "traits": Labels(MultiLabelTarget(names=TRAITS), traits),
            },
            ids=[f"ball {number}" for number in numbers],
        )


def draw_ball(size: int, seed: int, number: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return an image (1, S, S), its classes (S, S), its depth (1, S, S) and its traits (3,)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + number)
    x, y, radius, light = torch.rand(4, generator=generator).tolist()
    x, y, radius = size * (0.25 + x / 2), size * (0.25 + y / 2), size * (0.1 + radius / 5)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    ball = (rows - y).square() + (columns - x).square() < radius**2
    image = torch.where(ball, 128 + 127 * light, 100 * rows / size).to(torch.uint8)
    parts = ball.long()
    parts[0] = MISSING
    ground = torch.nan if number % 4 == 3 else 10.0  # a missing number is NaN
    depth = torch.where(ball, size / radius, ground)
    traits = torch.tensor([radius > size / 5, x < (size - 1) / 2, light > 0.5]).long()
    return image.unsqueeze(0), parts, depth.unsqueeze(0), traits
