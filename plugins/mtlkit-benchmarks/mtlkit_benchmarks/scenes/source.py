"""The data source `scenes`."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch

from mtlkit.data import (
    ClassMapTarget,
    Data,
    DataSource,
    Frame,
    Labels,
    Loading,
    RealMapTarget,
    Split,
    Target,
    UnitVectorMapTarget,
    read_new_images,
)
from mtlkit.plugins import at_least, at_least_number
from mtlkit_benchmarks.scenes.random_scene import random_scene
from mtlkit_benchmarks.scenes.rendering import CLASSES, SceneView, render


def _sides(_: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2 or any(side < 1 for side in sides):
        raise ValueError(
            f"{field.name}: expected pixels of a side, or height and width, got {value!r}"
        )


@attrs.frozen(kw_only=True)
class Scenes(DataSource):
    """Drawn scenes with the labels `classes`, `depth` and `normals` of each pixel.

    A camera sees a floor, a wall, and spheres and boxes on the floor. The color of a surface does
    not depend on its class. Depth is the coordinate z in units in which the camera is about 1 above
    the floor; normals point toward the camera. Labels are exact: they are computed from the
    geometry, not from the image.

    `size` is the side of the images in pixels, or their height and width. `noise` is the standard
    deviation of the noise of a pixel, of 255. A scene depends only on `seed` and its number.
    """

    samples: int = attrs.field(default=600, validator=at_least(1))  # for training
    validation: int = attrs.field(default=100, validator=at_least(1))
    test: int = attrs.field(default=200, validator=at_least(1))
    size: int | tuple[int, int] = attrs.field(default=48, validator=_sides)
    noise: float = attrs.field(default=8.0, validator=at_least_number(0))
    seed: int = attrs.field(default=0, validator=at_least(0))

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {"classes": ClassMapTarget, "depth": RealMapTarget, "normals": UnitVectorMapTarget}

    def load(self, loading: Loading) -> Data:
        first = self.samples
        second = first + self.validation
        third = second + self.test
        return Data(
            train=self._split(range(first), loading),
            validation=self._split(range(first, second), loading),
            test=self._split(range(second, third), loading),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        """Return new images: a file, a folder, a table of files or a list of paths."""
        return read_new_images(rows, Frame(*self._sides, channels=3), loading)

    @property
    def _sides(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    def _split(self, numbers: range, loading: Loading) -> Split:
        height, width = self._sides
        images = torch.empty(len(numbers), 3, height, width, dtype=torch.uint8)
        classes = torch.empty(len(numbers), height, width, dtype=torch.int64)
        depth = torch.empty(len(numbers), 1, height, width)
        normals = torch.empty(len(numbers), 3, height, width)
        for row, number in enumerate(numbers):
            random = np.random.default_rng((self.seed, number))
            view = render(random_scene(random), height, width)
            images[row] = torch.from_numpy(self._pixels(view, random))
            classes[row] = torch.from_numpy(view.classes)
            depth[row, 0] = torch.from_numpy(view.depth)
            normals[row] = torch.from_numpy(view.normals)
            loading.progress("drawing scenes", row + 1, len(numbers))
        return Split(
            inputs=images,
            columns={
                "classes": Labels(ClassMapTarget(names=CLASSES), classes),
                "depth": Labels(RealMapTarget(quantity="depth"), depth),
                "normals": Labels(UnitVectorMapTarget(), normals),
            },
            ids=[f"scene {number}" for number in numbers],
        )

    def _pixels(self, view: SceneView, random: np.random.Generator) -> "np.ndarray[Any, Any]":
        noisy = 255 * view.image + random.normal(0, self.noise, view.image.shape)
        return noisy.round().clip(0, 255).astype(np.uint8)
