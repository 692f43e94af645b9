"""SegNet with the soft attention of MTAN, the network of the tables of NYUv2 and Cityscapes.

Paper: Shikun Liu, Edward Johns and Andrew J. Davison, "End-to-End Multi-Task Learning with
Attention", CVPR 2019, section 3.2 and figure 2.
"""

from collections.abc import Sequence

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtlkit.backbones import (
    Backbone,
    BackboneModule,
    Batch,
    FeatureSpec,
    InputSpecs,
    PyramidFeatures,
    PyramidLevel,
    image_input,
)
from mtlkit.data import InputSpec
from mtlkit.plugins import AssemblyError, above, at_least

CHANNELS = (64, 128, 256, 512, 512)
SMALLEST = 2 ** len(CHANNELS)


@attrs.frozen(kw_only=True)
class SegNetMTAN(Backbone):
    """SegNet shared by all tasks, and attention masks of each of `tasks` tasks (Liu et al., 2019).

    The features are a pyramid with a level of full resolution for each task, which the adapter
    ``{type: benchmarks/level-conv, level: K}`` reads. All parameters are shared ones, as in the
    code of Nash-MTL: among them the masks, on which the loss of one task alone depends. Gradients
    of tasks can be compared at parameters; at the features they are orthogonal.

    `width` scales all channel counts. The sides of images are multiples of 32. Convolutions start
    from Xavier's normal distribution.
    """

    tasks: int = attrs.field(default=3, validator=at_least(1))
    width: float = attrs.field(default=1.0, validator=above(0))

    @property
    def gives(self) -> type[FeatureSpec]:
        return PyramidFeatures

    def build(self, inputs: InputSpecs) -> BackboneModule:
        return SegNetMTANBackbone(self, image_input(inputs, "segnet-mtan", SMALLEST))


class SegNetMTANBackbone(BackboneModule):
    """Map images (N, C, H, W) to a map (N, 64 width, H, W) of each task, joined to a pyramid.

    >>> spec = InputSpec(shape=(3, 32, 64))
    >>> SegNetMTANBackbone(SegNetMTAN(tasks=2, width=0.0625), spec).features.levels[1].channels
    4
    """

    features: PyramidFeatures

    def __init__(self, config: SegNetMTAN, inputs: InputSpec) -> None:
        super().__init__()
        colors, height, width = inputs.shape
        if height % SMALLEST or width % SMALLEST:
            raise AssemblyError(
                f"segnet-mtan: got images of {height} x {width} pixels, expected multiples of "
                f"{SMALLEST}"
            )
        c = [max(1, round(channels * config.width)) for channels in CHANNELS]
        before = [colors, *c[:-1]]  # channels that enter a stage of the encoder
        after = [c[0], *c[:-1]]  # channels that leave a stage of the decoder
        depths = (1, 1, 2, 2, 2)  # further convolutions of a stage
        self.down = _stages(before, c)
        self.down_rest = nn.ModuleList(_repeated(n, d) for n, d in zip(c, depths, strict=True))
        self.up = _stages(c, after)
        self.up_rest = nn.ModuleList(_repeated(n, d) for n, d in zip(after, depths, strict=True))
        self.down_masks, self.up_masks = nn.ModuleList(), nn.ModuleList()
        for _ in range(config.tasks):
            given = [c[0], *(2 * n for n in c[1:])]
            self.down_masks.append(
                nn.ModuleList(_mask(n, m) for n, m in zip(given, c, strict=True))
            )
            self.up_masks.append(
                nn.ModuleList(_mask(n + m, m) for n, m in zip(c, after, strict=True))
            )
        self.down_pass = _stages(c, [*c[1:], c[-1]])  # of attended maps to the next mask
        self.up_pass = _stages(c, after)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_normal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        level = PyramidLevel(channels=c[0], stride=1, height=height, width=width)
        self.features = PyramidFeatures(levels=(level,) * config.tasks)

    def forward(self, inputs: Batch) -> Tensor:
        assert isinstance(inputs, Tensor)
        down, pooled, maps = [], [], inputs
        for first, rest in zip(self.down, self.down_rest, strict=True):
            early = first(maps)
            late = rest(early)
            maps, places = F.max_pool2d(late, 2, return_indices=True)
            down.append((early, late))
            pooled.append(places)
        up = []
        for first, rest, places in zip(
            self.up[::-1], self.up_rest[::-1], pooled[::-1], strict=True
        ):
            early = F.max_unpool2d(maps, places, [2, 2])
            maps = rest(first(early))
            up.append((early, maps))
        return self.features.join([
            self._attended(down, up, at_down, at_up)
            for at_down, at_up in zip(self.down_masks, self.up_masks, strict=True)
        ])  # fmt: skip

    def _attended(
        self,
        down: Sequence[tuple[Tensor, Tensor]],
        up: Sequence[tuple[Tensor, Tensor]],
        down_masks: nn.Module,
        up_masks: nn.Module,
    ) -> Tensor:
        """Return the maps of one task at the end of the decoder.

        A mask reads the first maps of a stage and what the mask before it passed on, and
        multiplies the last maps of the stage.
        """
        assert isinstance(down_masks, nn.ModuleList)
        assert isinstance(up_masks, nn.ModuleList)
        passed: Tensor | None = None
        for (early, late), mask, onward in zip(down, down_masks, self.down_pass, strict=True):
            read = early if passed is None else torch.cat([early, passed], dim=1)
            passed = F.max_pool2d(onward(mask(read) * late), 2)
        assert passed is not None
        for (early, late), mask, onward in zip(up, up_masks[::-1], self.up_pass[::-1], strict=True):
            grown = F.interpolate(passed, scale_factor=2, mode="bilinear", align_corners=True)
            passed = mask(torch.cat([early, onward(grown)], dim=1)) * late
        return passed


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()
    )


def _stages(inputs: Sequence[int], outputs: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(_convolution(n, m) for n, m in zip(inputs, outputs, strict=True))


def _repeated(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_convolution(channels, channels) for _ in range(count)))


def _mask(inputs: int, outputs: int) -> nn.Sequential:
    """Return 1x1 convolutions to a mask between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 1),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 1),
        nn.BatchNorm2d(outputs),
        nn.Sigmoid(),
    )
