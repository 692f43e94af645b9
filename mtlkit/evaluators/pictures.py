"""Pictures of the labels and the predictions of pixels, such as class maps, depth and normals."""

import base64
import io
from collections.abc import Iterator

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least
from mtlkit.data.dataset import Data, Split
from mtlkit.errors import DataError
from mtlkit.evaluators.base import EvaluationResult, Evaluator
from mtlkit.evaluators.context import EvaluationContext
from mtlkit.report.blocks import Gallery, Picture, Section
from mtlkit.targets.base import Target
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.colors import class_colors
from mtlkit.targets.real_map import RealMapTarget

LARGEST = 256
"""Largest side of a picture in pixels; larger maps are thinned out."""

LEGEND_CLASSES = 30
"""Largest number of classes for which a legend is drawn."""

LEGEND_COLUMNS = 4


@attrs.frozen(kw_only=True)
class Pictures(Evaluator):
    """Labels and predictions of every task with pixels, for the first `samples` of one split.

    The split is test, or else validation. With `inputs` the images are shown too, and class maps
    are laid over them; a report then contains the data.
    """

    samples: int = attrs.field(default=4, validator=at_least(1))
    inputs: bool = False

    def check(self, data: Data) -> None:
        if self.inputs and not _are_images(data.train.inputs[torch.tensor([0])]):
            raise DataError(
                "evaluators: pictures: expected inputs that are 8-bit images of 1 or 3 channels; "
                "use `inputs: false`"
            )

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        targets = trained.model.assembly.targets
        drawn = {task: target for task, target in targets.items() if target.dims > 2}
        splits = trained.data.splits()
        name = next((name for name in ("test", "validation") if name in splits), None)
        if name is None or not drawn:
            return EvaluationResult()
        predictions, labels = next(iter(trained.batches(splits[name])))
        images = self._images(splits[name])
        galleries = []
        for task, target in drawn.items():
            known = labels[task][: self.samples].cpu()
            outputs = predictions.outputs[task][: self.samples].cpu()
            predicted = target.decode(outputs).maps
            rows = () if predicted is None else tuple(_rows(target, known, predicted, images))
            caption = f"{task} ({name}): {_contents(target, overlaid=images is not None)}."
            if rows:
                galleries.append(Gallery(rows=(*_legend(target), *rows), caption=caption))
        section = Section(title="Labels and predictions of pixels", blocks=tuple(galleries))
        return EvaluationResult(sections=(section,) if galleries else ())

    def _images(self, split: Split) -> list[Tensor] | None:
        """Return the images (H, W, 3) of the samples, if they are shown."""
        if not self.inputs:
            return None
        images = split.inputs[torch.arange(min(self.samples, len(split)))]
        assert isinstance(images, Tensor)
        return [image.expand(3, -1, -1).permute(1, 2, 0) for image in images]


def _are_images(inputs: object) -> bool:
    return (
        isinstance(inputs, Tensor)
        and inputs.dtype == torch.uint8
        and inputs.dim() == 4
        and inputs.shape[1] in (1, 3)
    )


def _rows(
    target: Target, labels: Tensor, predicted: Tensor, images: list[Tensor] | None
) -> Iterator[tuple[Picture, ...]]:
    """Yield the picture of the input, if it is shown, of the label, and of the prediction."""
    for number, label in enumerate(labels):
        pair = {"label": label, "prediction": predicted[number]}
        colors = {name: target.picture(part, label) for name, part in pair.items()}
        row = [] if images is None else [_picture(images[number], f"input {number + 1}")]
        for name, pixels in colors.items():
            if pixels is None:
                return
            if images is not None and isinstance(target, ClassMapTarget):
                pixels = _overlay(images[number], pixels)
            row.append(_picture(pixels, f"{name} {number + 1}{_range(target, pair[name])}"))
        yield tuple(row)


def _overlay(image: Tensor, colors: Tensor) -> Tensor:
    """Return the mean of an image and the colors of its labels; the image if sizes differ."""
    if image.shape != colors.shape:
        return colors
    return ((image.int() + colors.int()) // 2).to(torch.uint8)


def _range(target: Target, labels: Tensor) -> str:
    """Return the range of numbers in a picture, for its caption."""
    if not isinstance(target, RealMapTarget):
        return ""
    known = labels[0][~labels[0].isnan()]
    return f": {float(known.min()):.3g} to {float(known.max()):.3g}" if len(known) else ": none"


def _contents(target: Target, *, overlaid: bool) -> str:
    if isinstance(target, ClassMapTarget):
        return f"{target.noun}{', laid over the image' if overlaid else ''}; white has no label"
    if isinstance(target, RealMapTarget):
        return f"{target.noun}, dark is low, on the scale of the label; white has no label"
    return f"{target.noun}, x, y and z from -1 to 1 as red, green and blue; white has no label"


def _legend(target: Target) -> Iterator[tuple[Picture, ...]]:
    """Yield rows with the color of each class."""
    if 0 < len(target.classes) <= LEGEND_CLASSES:
        patch = torch.ones(8, 8, 1, dtype=torch.uint8)
        colors = list(zip(target.classes, class_colors(len(target.classes)), strict=True))
        for start in range(0, len(colors), LEGEND_COLUMNS):
            row = colors[start : start + LEGEND_COLUMNS]
            yield tuple(_picture(patch * color, name) for name, color in row)


def _picture(pixels: Tensor, caption: str) -> Picture:
    """Return the PNG of pixels (H, W, 3) in bytes, thinned out to the largest side."""
    from PIL import Image

    step = -(-max(pixels.shape[:2]) // LARGEST)
    image = Image.fromarray(pixels[::step, ::step].contiguous().numpy())
    file = io.BytesIO()
    image.save(file, format="PNG")
    return Picture(png=base64.b64encode(file.getvalue()).decode(), caption=caption)
