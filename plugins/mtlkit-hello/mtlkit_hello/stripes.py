"""The data source `stripes`."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data import (
    Categorical,
    ClassTarget,
    Data,
    DataSource,
    Frame,
    Loading,
    NumberTarget,
    Numeric,
    Split,
    Target,
    read_new_images,
)
from mtlkit.plugins import at_least

DIRECTIONS = ("across", "down", "falling", "rising")


@attrs.frozen(kw_only=True)
class Stripes(DataSource):
    """Drawn images of stripes, with the labels `direction` (a class) and `width` (in pixels).

    `samples` images of `size` pixels a side are drawn for training, a quarter as many for
    validation and for the test. The label `width` of every tenth image is missing.
    """

    samples: int = attrs.field(default=400, validator=at_least(8))
    size: int = attrs.field(default=16, validator=at_least(8))
    seed: int = attrs.field(default=0, validator=at_least(0))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {"direction": ClassTarget, "width": NumberTarget}

    def load(self, loading: Loading) -> Data:
        # a sample depends only on the seed and its number
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
        images, codes, widths = [], [], []
        for number in numbers:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
            direction = int(torch.randint(len(DIRECTIONS), (), generator=generator))
            width = 2 + 3 * float(torch.rand((), generator=generator))
            phase = float(torch.rand((), generator=generator))
            images.append(draw_stripes(self.size, direction, width, phase))
            codes.append(direction)
            widths.append(math.nan if number % 10 == 9 else width)  # a missing number is NaN
        return Split(
            inputs=torch.stack(images),
            columns={
                "direction": Categorical(torch.tensor(codes), DIRECTIONS),
                "width": Numeric(torch.tensor(widths)),
            },
            ids=[f"stripes {number}" for number in numbers],
        )


def draw_stripes(size: int, direction: int, width: float, phase: float) -> Tensor:
    """Return one image (1, size, size) of bytes."""
    angle = direction * math.pi / len(DIRECTIONS)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = math.sin(angle) * columns + math.cos(angle) * rows
    wave = torch.sin(math.pi * along / width + 2 * math.pi * phase)
    return (127.5 + 127.5 * wave).to(torch.uint8).unsqueeze(0)
