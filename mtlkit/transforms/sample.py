"""One sample: its inputs, its labels, and the types of the labels."""

from collections.abc import Callable, Mapping

import attrs
from torch import Tensor

from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.targets.base import Target
from mtlkit.targets.geometry import Box, Size


@attrs.frozen(eq=False)
class Sample:
    """Inputs of one sample, and the label and target of each task; no tensor has a dimension N.

    Inputs are one tensor or several by name. An entry with three dimensions (C, H, W) is an image;
    all images of a sample have one size.
    """

    inputs: Batch
    labels: Mapping[str, Tensor]
    targets: Mapping[str, Target]

    @property
    def frame(self) -> Size:
        """Height and width of the images; `DataError` if there is none, or if they differ."""
        entries = [self.inputs] if isinstance(self.inputs, Tensor) else [*self.inputs.values()]
        sizes = {(image.shape[1], image.shape[2]) for image in entries if image.dim() == 3}
        if len(sizes) != 1:
            shapes = ", ".join(str(tuple(entry.shape)) for entry in entries)
            raise DataError(
                f"transforms: got inputs of shape {shapes}, expected images (C, H, W) of one size; "
                f"leave out the transforms of images, or resize in the data source"
            )
        return sizes.pop()

    def with_images(self, change: Callable[[Tensor], Tensor]) -> "Sample":
        """Return the sample with `change` applied to each image (C, H, W)."""
        changed = map_batch(lambda entry: change(entry) if entry.dim() == 3 else entry, self.inputs)
        return attrs.evolve(self, inputs=changed)

    def with_labels(self, change: Callable[[Target, Tensor], Tensor]) -> "Sample":
        """Return the sample with ``change(target, labels)`` for each task."""
        labels = {task: change(self.targets[task], value) for task, value in self.labels.items()}
        return attrs.evolve(self, labels=labels)

    def flip(self) -> "Sample":
        """Return the mirror image: x runs from right to left."""
        from torchvision.transforms.v2 import functional

        frame = self.frame
        mirrored = self.with_images(functional.horizontal_flip)
        return mirrored.with_labels(lambda target, value: target.flip(value, frame))

    def crop(self, box: Box, size: Size, *, zoom: float = 1.0) -> "Sample":
        """Return the pixels in `box`, black outside the frame, resized to `size`.

        See `Target.crop` for `zoom`.
        """
        from torchvision.transforms.v2 import functional

        frame = self.frame

        def cropped(image: Tensor) -> Tensor:
            image = functional.crop(image, box.top, box.left, box.height, box.width)
            return functional.resize(image, list(size)) if box.size != size else image

        return self.with_images(cropped).with_labels(
            lambda target, value: target.crop(value, frame, box, size, zoom=zoom)
        )

    def rotate(self, degrees: float) -> "Sample":
        """Return the sample turned counterclockwise in its frame, black outside the frame."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        frame = self.frame

        def turned(image: Tensor) -> Tensor:
            result: Tensor = functional.rotate(image, degrees, InterpolationMode.BILINEAR)
            return result

        return self.with_images(turned).with_labels(
            lambda target, value: target.rotate(value, frame, degrees)
        )
