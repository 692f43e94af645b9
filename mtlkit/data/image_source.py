"""Options of images and their labels, which all sources of images share."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from itertools import chain
from typing import Any, Literal, Self

import attrs

from mtlkit.component import above, between, each, one_of, optional, word_or
from mtlkit.data.dataset import Data, Split
from mtlkit.data.frame import INTERPOLATIONS, Frame
from mtlkit.data.imaging.new_images import read_new_images
from mtlkit.data.label_columns import LabelOptions, check_names, units_of_numbers
from mtlkit.data.label_groups import RowLabels, patterns, stated_targets
from mtlkit.data.source import Loading
from mtlkit.data.split import SPLIT, RandomSplit
from mtlkit.features.pretrained import PretrainedImages
from mtlkit.targets.base import Target
from mtlkit.transforms.sizes import as_size, height_and_width


def _gray_or_color(_: "ImageSource", __: "attrs.Attribute[Any]", value: Any) -> None:
    if value not in (1, 3):
        raise ValueError(f"channels: expected 1 (gray) or 3 (RGB), got {value!r}")


def _vocabulary(images: "ImageSource", _: "attrs.Attribute[Any]", value: Mapping[str, Any]) -> None:
    for label, names in value.items():
        check_names(label, names)
        if label in images.numeric:
            raise ValueError(f"vocabulary: {label}: is a number (see `numeric`) and has no names")
        groups = images.split.groups if images.split else None
        if label in (groups, *images.open_labels):
            raise ValueError(
                f"vocabulary: {label}: cannot be fixed, since the test split has other values"
            )


def _one_or_each_channel(images: Any, field: "attrs.Attribute[Any]", value: Any) -> None:
    if len(value) not in (1, images.channels):
        raise ValueError(
            f"{field.name}: expected one number, or {images.channels} for the channels, got "
            f"{len(value)}"
        )


@attrs.frozen(kw_only=True)
class ImageSource(LabelOptions):
    """Base of the sources of images: how images are converted, and how labels are read.

    The options are those of `mtlkit.data.Images`, which describes them.
    """

    size: int | tuple[int, int] = attrs.field(validator=height_and_width)
    channels: int = attrs.field(default=3, validator=_gray_or_color)
    mean: tuple[float, ...] | None = attrs.field(
        default=None, validator=optional(_one_or_each_channel)
    )
    std: tuple[float, ...] | None = attrs.field(
        default=None, validator=[optional(_one_or_each_channel), optional(each(above(0)))]
    )
    standardize: bool = False
    interpolation: str | None = attrs.field(
        default=None, validator=optional(one_of(*INTERPOLATIONS))
    )
    crop: float | Literal["whole"] | None = attrs.field(
        default=None, validator=optional(word_or("whole", between(0.01, 1)))
    )
    numeric: tuple[str, ...] = ()
    units: Mapping[str, str] = attrs.field(factory=dict, validator=units_of_numbers)
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_vocabulary)
    vectors: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    multi_label: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    split: RandomSplit | None = None  # None: by the label `split`, otherwise by the defaults
    open_labels: tuple[str, ...] = ()
    reduce: bool = False

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return self.targets_of(())

    def targets_of(self, names: Sequence[str]) -> dict[str, type[Target]]:
        """Return the types of the labels `names` and of those that the options declare."""
        groups = {**self.vectors, **self.multi_label}
        parts = (SPLIT, *chain.from_iterable(groups.values()))
        single = (*names, *self.numeric, *self.vocabulary)
        alone = [name for name in single if not any(fnmatch(name, part) for part in parts)]
        return stated_targets(self, alone)

    @property
    def labels_of_pixels(self) -> bool:
        """True if labels are places in the whole image, which cropping would change."""
        return bool(self.vectors)

    @property
    def frame(self) -> Frame:
        """Shape to which every image is converted."""
        crop = None if self.crop == "whole" else self.crop
        interpolation = self.interpolation or "bicubic"
        return Frame(*as_size(self.size), self.channels, interpolation, crop, self.reduce)

    def for_pretrained(self, images: PretrainedImages) -> "Self":
        images = images.per_channel(self.channels)
        stated = self.mean is not None or self.std is not None
        name = images.interpolation
        return attrs.evolve(
            self,
            mean=self.mean if stated else images.mean,
            std=self.std if stated else images.std,
            interpolation=self.interpolation or (name if name in INTERPOLATIONS else "bicubic"),
            crop=self.crop or ("whole" if self.labels_of_pixels else images.crop),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading)

    def data(self, splits: Mapping[str, Split], summary: Mapping[str, str], **facts: Any) -> Data:
        facts |= {"mean": self.mean, "std": self.std, "standardize": self.standardize}
        return super().data(splits, summary, frame=self.frame, **facts)

    def summary(self, labels: RowLabels, splits: Mapping[str, Split]) -> dict[str, str]:
        """Return facts about images and labels to display."""
        frame = self.frame
        color = "gray" if frame.channels == 1 else "RGB"
        return {
            "images": str(len(labels.rows)),
            "size": f"{frame.width} x {frame.height} pixels, {color}",
            **labels.summary(splits),
        }
