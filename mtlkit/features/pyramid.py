"""Maps of several resolutions for each sample."""

from collections.abc import Sequence

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.errors import AssemblyError
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.maps import MapFeatures


@attrs.frozen(kw_only=True)
class PyramidLevel:
    """A level of a pyramid: maps (N, `channels`, `height`, `width`) of a `stride`."""

    channels: int = attrs.field(validator=at_least(1))
    stride: int = attrs.field(validator=at_least(1))
    height: int = attrs.field(validator=at_least(1))
    width: int = attrs.field(validator=at_least(1))

    @property
    def size(self) -> int:
        """Number of elements of a map."""
        return self.channels * self.height * self.width

    @property
    def maps(self) -> MapFeatures:
        """The spec of the maps of this level."""
        return MapFeatures(channels=self.channels, stride=self.stride)


@attrs.frozen(kw_only=True)
class PyramidFeatures(FeatureSpec):
    """Maps of several resolutions, finest first, as one flat tensor (N, P).

    Gradients of tasks are compared at one tensor. `split` views it as maps, `join` is its inverse.
    All images of a pyramid have the size that its levels were measured at.

    >>> levels = [PyramidLevel(channels=2, stride=s, height=8 // s, width=8 // s) for s in (1, 2)]
    >>> pyramid = PyramidFeatures(levels=tuple(levels))
    >>> [tuple(maps.shape) for maps in pyramid.split(torch.zeros(3, 160))]
    [(3, 2, 8, 8), (3, 2, 4, 4)]
    """

    kind = "pyramids"
    shape = "(N, P)"
    dims = 2

    levels: tuple[PyramidLevel, ...]

    @property
    def size(self) -> int:
        """Number of elements P of the maps of a sample."""
        return sum(level.size for level in self.levels)

    @property
    def width(self) -> int:
        return sum(level.channels for level in self.levels)

    def split(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the maps (N, C, H, W) of each level, as views of `features` (N, P)."""
        parts = torch.split(features, [level.size for level in self.levels], dim=1)
        return tuple(
            part.view(len(part), level.channels, level.height, level.width)
            for part, level in zip(parts, self.levels, strict=True)
        )

    def join(self, maps: Sequence[Tensor]) -> Tensor:
        """Return the maps of the levels as features (N, P); `AssemblyError` for other sizes."""
        for part, level in zip(maps, self.levels, strict=True):
            expected = (level.channels, level.height, level.width)
            if tuple(part.shape[1:]) != expected:
                raise AssemblyError(
                    f"backbone: got maps {tuple(part.shape[1:])} at stride {level.stride}, "
                    f"expected {expected}; give images of the size of training"
                )
        return torch.cat([part.flatten(1) for part in maps], dim=1)

    def pool(self, features: Tensor, context: Context) -> Tensor:
        return torch.cat([maps.mean(dim=(2, 3)) for maps in self.split(features)], dim=1)

    def max_pool(self, features: Tensor, context: Context) -> Tensor:
        return torch.cat([maps.amax(dim=(2, 3)) for maps in self.split(features)], dim=1)

    def with_width(self, width: int) -> "PyramidFeatures":
        """Return a pyramid whose levels have `width` channels each."""
        return PyramidFeatures(levels=tuple(attrs.evolve(x, channels=width) for x in self.levels))

    def mismatch(self, features: Tensor, samples: int) -> str | None:
        expected = (samples, self.size)
        if tuple(features.shape) != expected:
            return f"features are {tuple(features.shape)}, expected {expected}"
        return None
