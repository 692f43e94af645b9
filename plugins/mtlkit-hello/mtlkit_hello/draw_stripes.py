"""The drawing of the data source `stripes`."""

import math

import torch
from torch import Tensor

from mtlkit.data import Categorical, Data, Numeric, Split
from mtlkit_hello.stripes import Stripes

DIRECTIONS = ("across", "down", "falling", "rising")


def draw_stripes(config: Stripes) -> Data:
    """All splits; a sample is a function of the seed and its number alone."""
    first, second, third = (config.samples * quarters // 4 for quarters in (4, 5, 6))
    return Data(
        train=_split(config, range(first)),
        validation=_split(config, range(first, second)),
        test=_split(config, range(second, third)),
    )


def _split(config: Stripes, numbers: range) -> Split:
    images, codes, widths = [], [], []
    for number in numbers:
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + number)
        direction = int(torch.randint(len(DIRECTIONS), (), generator=generator))
        width = 2 + 3 * float(torch.rand((), generator=generator))
        phase = float(torch.rand((), generator=generator))
        images.append(_image(config.size, direction, width, phase))
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


def _image(size: int, direction: int, width: float, phase: float) -> Tensor:
    """One image (1, size, size) of bytes."""
    angle = direction * math.pi / len(DIRECTIONS)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    along = math.sin(angle) * columns + math.cos(angle) * rows
    wave = torch.sin(math.pi * along / width + 2 * math.pi * phase)
    return (127.5 + 127.5 * wave).to(torch.uint8).unsqueeze(0)
