"""Images with labels: a folder, and a table of labels or a pattern of file names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from mtlkit.component import above, at_least, between, each, one_of, optional, word_or
from mtlkit.data.columns import Column, Labels
from mtlkit.data.dataset import Data, Split
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.decoding import FileStore, StoredImages, read_images, threads
from mtlkit.data.imaging.frame import INTERPOLATIONS, Frame, Region
from mtlkit.data.imaging.image_faults import fault_report, no_images, skipped_files
from mtlkit.data.imaging.label_maps import LabelMaps, StoredMaps
from mtlkit.data.imaging.new_images import read_new_images
from mtlkit.data.imaging.region_tables import Boxes, Landmarks
from mtlkit.data.inputs import Inputs
from mtlkit.data.label_columns import (
    check_labels,
    check_names,
    columns_by_split,
    describe,
    shortened,
    units_of_numbers,
)
from mtlkit.data.label_groups import (
    group_columns_by_split,
    grouped_columns,
    patterns,
)
from mtlkit.data.listing.filename_pattern import compile_pattern
from mtlkit.data.listing.image_listing import Fault, Listing, Row, list_by_pattern, list_by_table
from mtlkit.data.listing.table_files import read_table
from mtlkit.data.memory_limit import memory_limit
from mtlkit.data.paths import find_file, find_folder
from mtlkit.data.source import DataSource, Loading
from mtlkit.data.split import RandomSplit
from mtlkit.data.split_indices import SPLIT, split_indices
from mtlkit.errors import DataError
from mtlkit.features.pretrained import PretrainedImages


def _one_source_of_labels(images: "Images", _: "attrs.Attribute[Any]", value: str | None) -> None:
    if (images.labels is None) == (value is None):
        given = "neither" if value is None else "both"
        raise ValueError(f"pattern: expected one of `labels` and `pattern`, got {given}")
    if value is not None:
        try:
            compile_pattern(value)
        except ValueError as cause:
            raise ValueError(f"pattern: {cause}; got {value!r}") from cause


def _height_and_width(images: "Images", field: "attrs.Attribute[Any]", value: Any) -> None:
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2:
        raise ValueError(f"size: expected one number, or height and width, got {value!r}")
    for side in sides:
        at_least(1)(images, field, side)


def _gray_or_color(_: "Images", __: "attrs.Attribute[Any]", value: Any) -> None:
    if value not in (1, 3):
        raise ValueError(f"channels: expected 1 (gray) or 3 (RGB), got {value!r}")


def _vocabulary(images: "Images", _: "attrs.Attribute[Any]", value: Mapping[str, Any]) -> None:
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


def _whole(images: "Images", _: "attrs.Attribute[Any]", value: Mapping[str, Any]) -> None:
    if value and (images.boxes or images.landmarks):
        raise ValueError(
            "maps: cannot be used with `boxes` or `landmarks`, which they do not follow"
        )


def _one_region(images: "Images", _: "attrs.Attribute[Any]", value: Landmarks | None) -> None:
    if value is not None and images.boxes is not None:
        raise ValueError("landmarks: expected one of `boxes` and `landmarks`, got both")
    if (value or images.boxes) and images.crop not in (None, "whole"):
        name = "boxes" if value is None else "landmarks"
        raise ValueError(f"{name}: expected one of `{name}` and `crop`, got both")


@attrs.frozen(kw_only=True)
class Images(DataSource):
    """The images in a folder, with labels from a table or from the names of the files.

    `folder` is relative to the recipe, otherwise to the working directory. `labels` is a table, CSV
    or Parquet, with a column `file`; its path is relative to `folder`, otherwise to the recipe. An
    empty cell is a missing label. `pattern` reads the labels from file names instead:
    ``{subject}_{pose}_*.png``, see `mtlkit.data.listing.filename_pattern`.

    `vectors` and `multi_label` group labels under one, as in `table`. `maps` are labels of pixels
    in separate files, by label, see `LabelMaps`; they are read on access.

    Every image is resized to `size` (a side, or height and width) and converted to `channels`.
    The network reads (pixel - `mean`) / `std` of 8-bit pixels. Each of the two is one number or one
    for each channel. `interpolation` is nearest, bilinear, bicubic or lanczos. `crop` is the part
    of the largest centered rectangle with the aspect ratio of `size` that is kept, or ``whole`` for
    the whole image, stretched.

    `boxes` cuts objects out instead, and `landmarks` aligns them, by a table with a row for each
    image, see `Boxes` and `Landmarks`. Labels of pixels do not follow, so they exclude `maps`.

    By default these four are those of the backbone's pretrained weights, and 127.5, 128, bicubic
    and ``whole`` without them. Images with `maps` or `vectors` are not cropped by default, because
    their labels are those of the whole image. The run's recipe states the values in use.

    Labels are classes, except for `numeric` ones; `units` are those of numbers and vectors, by
    label, shown with predictions. Their names are those of `vocabulary`, or the
    values in the training split in natural order. A label called `split` (train, validation or
    test) names the split of each sample; without it, samples are split at random by the option
    `split`. The labels of `open_labels` may have other values in the test split.

    Files that match a glob of `ignore` are ignored. Any other file that is missing, damaged or does
    not match the pattern is an error, unless `skip_bad` is true: then it is skipped and counted.
    The table may name files outside `folder` only if `outside` is true.

    Images are decoded once and kept if they take at most `memory` GiB, by default half of the
    memory that is available; otherwise files are checked once and decoded on each access. With
    `reduce`, a JPEG of at least twice `size` is decoded at a half, quarter or eighth of its size,
    at least twice `size`, and resized from there: faster, with pixels that differ by about 1 of
    255 on average.

    >>> Images(folder=Path("faces"), pattern="{subject}_{yaw}.png", size=32).channels
    3
    """

    folder: Path
    size: int | tuple[int, int] = attrs.field(validator=_height_and_width)
    labels: Path | None = None
    pattern: str | None = attrs.field(default=None, validator=_one_source_of_labels)
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
    boxes: Boxes | None = None
    landmarks: Landmarks | None = attrs.field(default=None, validator=_one_region)
    numeric: tuple[str, ...] = ()
    units: Mapping[str, str] = attrs.field(factory=dict, validator=units_of_numbers)
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_vocabulary)
    vectors: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    multi_label: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=patterns)
    maps: Mapping[str, LabelMaps] = attrs.field(factory=dict, validator=_whole)
    split: RandomSplit | None = None  # None: by the label `split`, otherwise by the defaults
    open_labels: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    skip_bad: bool = False
    outside: bool = False
    reduce: bool = False
    memory: float | Literal["auto"] = attrs.field(
        default="auto", validator=word_or("auto", at_least(0))
    )

    def load(self, loading: Loading) -> "Data":
        return load_images(self, loading)

    def for_pretrained(self, images: PretrainedImages) -> "Images":
        images = images.per_channel(self.channels)
        whole = bool(self.maps or self.vectors or self.boxes or self.landmarks)
        stated = self.mean is not None or self.std is not None
        name = images.interpolation
        return attrs.evolve(
            self,
            mean=self.mean if stated else images.mean,
            std=self.std if stated else images.std,
            interpolation=self.interpolation or (name if name in INTERPOLATIONS else "bicubic"),
            crop=self.crop or ("whole" if whole else images.crop),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading, self.boxes or self.landmarks)

    @property
    def frame(self) -> Frame:
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        crop = None if self.crop == "whole" else self.crop
        interpolation = self.interpolation or "bicubic"
        return Frame(*sides, self.channels, interpolation, crop, self.reduce)


def load_images(config: Images, loading: Loading) -> Data:
    """Load the images and labels that `config` describes; `DataError` if any is unavailable."""
    folder = find_folder(config.folder, (loading.base, Path()), "data.folder")
    listing = _list(config, folder, loading.base)
    groups = grouped_columns(config, list(listing.rows[0].labels) if listing.rows else [])
    single = [_without(row, groups) for row in listing.rows]
    check_labels(config, single)
    _refuse_repeated(config, single)
    frame = config.frame
    store = FileStore(folder, [row.file for row in listing.rows])
    limit = memory_limit(config.memory)
    regions, unreadable = None, {}
    if table := config.boxes or config.landmarks:
        path = find_file(table.table, (folder, loading.base, Path()), "data.table")
        regions, unreadable = table.regions(path, [row.file for row in listing.rows], frame)
    order = _by_split(config, single)
    pixels, unread = read_images(store.at(order), frame, loading, limit, _at(regions, order))
    unreadable = {order[place]: reason for place, reason in unread.items()} | unreadable
    faults = [*listing.faults]
    faults += [Fault(listing.rows[index].file, reason) for index, reason in unreadable.items()]
    faults.sort(key=lambda fault: fault.file)
    total = len(listing.rows) + len(listing.faults)
    if faults and not config.skip_bad:
        raise DataError(fault_report(faults, total, config.folder))
    good = [index for index in range(len(listing.rows)) if index not in unreadable]
    if not good:
        raise DataError(f"{config.folder}: {no_images(faults, listing.other)}")
    rows = [single[index] for index in good]
    indices = split_indices(config.split, rows)
    if unreadable and pixels is not None:  # the split is another one without these
        del pixels
        order = [good[index] for chosen in indices.values() for index in chosen]
        pixels, _ = read_images(store.at(order), frame, loading, limit, _at(regions, order))
    pool = DecoderPool(threads(loading))
    positions = {name: [good[index] for index in chosen] for name, chosen in indices.items()}
    inputs = _inputs(pixels, StoredImages(store, frame, pool, regions=regions), positions)
    columns = columns_by_split(config, rows, indices, without=SPLIT)
    grouped = group_columns_by_split(config, [listing.rows[index] for index in good], indices)
    maps = _label_maps(config, folder, rows, indices, pool)
    splits = {
        name: Split(
            inputs=inputs[name],
            columns={**columns[name], **grouped[name], **maps[name]},
            ids=[rows[i].file for i in chosen],
        )
        for name, chosen in indices.items()
    }
    summary = {"images": str(len(rows)), "size": _size(frame)}
    summary["splits"] = ", ".join(f"{len(split)} {name}" for name, split in splits.items())
    summary |= describe(config, rows, without=SPLIT)
    summary |= {
        label: f"{len(names)} columns: {shortened(names)}" for label, names in groups.items()
    }
    summary |= {label: value.target.noun for label, value in config.maps.items()}
    summary |= skipped_files(faults, listing.other)
    divided = config.split.groups if config.split else None
    return Data(
        train=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        open_labels=frozenset([*config.open_labels, *([divided] if divided else [])]),
        mean=config.mean,
        std=config.std,
        summary=summary,
        frame=frame,
    )


def _without(row: Row, groups: Mapping[str, Sequence[str]]) -> Row:
    """Return the row without the labels that are grouped under others."""
    grouped = {name for names in groups.values() for name in names}
    kept = {name: value for name, value in row.labels.items() if name not in grouped}
    return attrs.evolve(row, labels=kept)


def _refuse_repeated(config: Images, rows: Sequence[Row]) -> None:
    names = [*(rows[0].labels if rows else ()), *config.vectors, *config.multi_label, *config.maps]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"data: two labels are named {twice[0]!r}; rename one of them")


def _label_maps(
    config: Images,
    folder: Path,
    rows: Sequence[Row],
    indices: Mapping[str, Sequence[int]],
    pool: DecoderPool,
) -> dict[str, dict[str, Column]]:
    """Return the columns of label maps of every split; `DataError` names missing files."""
    frame = config.frame
    columns: dict[str, dict[str, Column]] = {split: {} for split in indices}
    for label, maps in config.maps.items():
        paths = [folder / maps.path(row.file) for row in rows]
        missing = [row.file for row, path in zip(rows, paths, strict=True) if not path.is_file()]
        if missing:
            raise DataError(
                f"data.maps.{label}: {len(missing)} of {len(rows)} images have no file of labels, "
                f"such as {maps.path(missing[0])} of {missing[0]}; correct `files`, or list the "
                f"images under `ignore`"
            )
        for split, chosen in indices.items():
            stored = StoredMaps(
                [paths[index] for index in chosen], maps, (frame.height, frame.width), pool
            )
            columns[split][label] = Labels(maps.target, stored)
    return columns


def _list(config: Images, folder: Path, base: Path) -> Listing:
    if config.pattern is not None:
        return list_by_pattern(folder, config.pattern, config.ignore)
    assert config.labels is not None, "the validator requires labels or a pattern"
    table = find_file(config.labels, (folder, base, Path()), "data.labels")
    return list_by_table(folder, read_table(table), config.ignore, outside=config.outside)


def _at(
    regions: Sequence[Region | None] | None, positions: Sequence[int]
) -> Sequence[Region | None] | None:
    return None if regions is None else [regions[position] for position in positions]


def _by_split(config: Images, rows: Sequence[Row]) -> list[int]:
    """Return the indices of all rows, those of a split together."""
    try:
        return [i for chosen in split_indices(config.split, rows).values() for i in chosen]
    except DataError:  # raised again, unless files that cannot be read are reported first
        return list(range(len(rows)))


def _inputs(
    pixels: Tensor | None, stored: StoredImages, splits: Mapping[str, Sequence[int]]
) -> dict[str, Inputs]:
    """Return the images of each split: parts of `pixels`, without a copy, or stored ones."""
    if pixels is not None:
        parts = pixels.split([len(chosen) for chosen in splits.values()])
        return dict(zip(splits, parts, strict=True))
    return {
        name: attrs.evolve(stored, positions=torch.tensor(chosen))
        for name, chosen in splits.items()
    }


def _size(frame: Frame) -> str:
    color = "gray" if frame.channels == 1 else "RGB"
    return f"{frame.width} x {frame.height} pixels, {color}"
