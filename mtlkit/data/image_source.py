"""Options of images and their labels, which all sources of images share."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from itertools import chain
from typing import Any, Literal, Self

import attrs

from mtlkit.component import above, between, each, one_of, optional, word_or
from mtlkit.data.columns import Column
from mtlkit.data.dataset import Data, Split
from mtlkit.data.frame import INTERPOLATIONS, Frame
from mtlkit.data.imaging.new_images import read_new_images
from mtlkit.data.label_columns import (
    LabelOptions,
    check_labels,
    check_names,
    columns_by_split,
    describe,
    units_of_numbers,
)
from mtlkit.data.label_groups import (
    describe_groups,
    group_columns_by_split,
    grouped_columns,
    patterns,
    stated_targets,
)
from mtlkit.data.listing.image_listing import Row
from mtlkit.data.row_splits import SPLIT
from mtlkit.data.source import Loading
from mtlkit.data.split import RandomSplit
from mtlkit.errors import DataError
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

    def data(self, splits: Mapping[str, Split], summary: Mapping[str, str]) -> Data:
        """Return the data of `splits` by name."""
        divided = self.split.groups if self.split else None
        return Data(
            train=splits["train"],
            validation=splits.get("validation"),
            test=splits.get("test"),
            open_labels=frozenset([*self.open_labels, *([divided] if divided else [])]),
            mean=self.mean,
            std=self.std,
            summary=summary,
            frame=self.frame,
        )


@attrs.frozen(eq=False)
class ImageLabels:
    """Labels of images as text: those of `rows`, and the `single` ones that no group includes."""

    config: ImageSource
    rows: Sequence[Row]
    single: Sequence[Row]
    groups: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, config: ImageSource, rows: Sequence[Row], others: Sequence[str] = ()) -> Self:
        """Return the labels of `rows`; `others` are names that are taken.

        Raises `DataError` for options that name no label, and labels that the options forbid.
        """
        groups = grouped_columns(config, list(rows[0].labels) if rows else [])
        grouped = {name for names in groups.values() for name in names}
        single = [
            attrs.evolve(row, labels={n: v for n, v in row.labels.items() if n not in grouped})
            for row in rows
        ]
        check_labels(config, single)
        names = [*(single[0].labels if single else ()), *groups, *others]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise DataError(f"data: two labels are named {twice[0]!r}; rename one of them")
        return cls(config, rows, single, groups)

    def at(self, index: Sequence[int]) -> Self:
        """Return the labels of the rows at `index`."""
        rows, single = ([rows[i] for i in index] for rows in (self.rows, self.single))
        return attrs.evolve(self, rows=rows, single=single)

    def columns(self, indices: Mapping[str, Sequence[int]]) -> dict[str, dict[str, Column]]:
        """Return the columns of the rows at the `indices` of each split."""
        columns = columns_by_split(self.config, self.single, indices, without=SPLIT)
        grouped = group_columns_by_split(self.config, self.rows, indices)
        return {name: {**columns[name], **grouped[name]} for name in indices}

    def summary(self, splits: Mapping[str, Split]) -> dict[str, str]:
        """Return facts about images and labels to display."""
        frame = self.config.frame
        color = "gray" if frame.channels == 1 else "RGB"
        return {
            "images": str(len(self.rows)),
            "size": f"{frame.width} x {frame.height} pixels, {color}",
            "splits": ", ".join(f"{len(split)} {name}" for name, split in splits.items()),
            **describe(self.config, self.single, without=SPLIT),
            **describe_groups(self.groups),
        }
