"""Images with labels: a folder, and a table of labels or a pattern of file names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from mtlkit.component import at_least_number, word_or
from mtlkit.data.columns import Column, Labels
from mtlkit.data.dataset import Data, Split
from mtlkit.data.frame import Region
from mtlkit.data.image_source import ImageSource
from mtlkit.data.imaging.decoder_pool import DecoderPool
from mtlkit.data.imaging.decoding import StoredImages, read_images, threads
from mtlkit.data.imaging.image_faults import fault_report, no_images, skipped_files
from mtlkit.data.imaging.image_stores import FileStore
from mtlkit.data.imaging.label_maps import LabelMaps, StoredMaps
from mtlkit.data.imaging.new_images import read_new_images
from mtlkit.data.imaging.region_tables import Boxes, Landmarks
from mtlkit.data.inputs import Inputs
from mtlkit.data.label_groups import RowLabels
from mtlkit.data.listing.filename_pattern import compile_pattern
from mtlkit.data.listing.image_listing import Fault, Listing, Row, list_by_pattern, list_by_table
from mtlkit.data.listing.table_files import read_table
from mtlkit.data.memory_limit import memory_limit
from mtlkit.data.paths import find_file, find_folder
from mtlkit.data.source import Loading
from mtlkit.data.split import split_indices
from mtlkit.errors import DataError
from mtlkit.targets.base import Target


def _one_source_of_labels(images: "Images", _: "attrs.Attribute[Any]", value: str | None) -> None:
    if (images.labels is None) == (value is None):
        given = "neither" if value is None else "both"
        raise ValueError(f"pattern: expected one of `labels` and `pattern`, got {given}")
    if value is not None:
        try:
            compile_pattern(value)
        except ValueError as cause:
            raise ValueError(f"pattern: {cause}; got {value!r}") from cause


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
class Images(ImageSource):
    """The images in a folder, with labels from a table or from the names of the files.

    `folder` is relative to the recipe, otherwise to the working directory. `labels` is a table, CSV
    or Parquet, with a column `file`; its path is relative to `folder`, otherwise to the recipe. An
    empty cell is a missing label. `pattern` reads the labels from file names instead:
    ``{subject}_{pose}_*.png``, see `mtlkit.data.listing.filename_pattern`.

    `vectors` and `multi_label` group labels under one, as in `table`. `maps` are labels of pixels
    in separate files, by label, see `LabelMaps`; they are read on access.

    Every image is resized to `size` (a side, or height and width) and converted to `channels`.
    The network reads (pixel - `mean`) / `std` of 8-bit pixels. Each of the two is one number or one
    for each channel. With `standardize`, each image is then shifted and scaled to mean 0 and
    standard deviation 1, so that its brightness and contrast do not count.

    `interpolation` is nearest, bilinear, bicubic or lanczos. `crop` is the part of the largest
    centered rectangle with the aspect ratio of `size` that is kept, or ``whole`` for the whole
    image, stretched.

    `boxes` cuts objects out instead, and `landmarks` aligns them, by a table with a row for each
    image, see `Boxes` and `Landmarks`. Labels of pixels do not follow, so they exclude `maps`.

    By default `mean`, `std`, `interpolation` and `crop` are those of the backbone's pretrained
    weights, and 127.5, 128, bicubic and ``whole`` without them. Images with `maps` or `vectors` are
    not cropped by default, because their labels are those of the whole image. The run's recipe
    states the values in use.

    Labels are classes, except for `numeric` ones. The names of classes are those of `vocabulary`,
    or the values in the training split in natural order. `units` are those of numbers and vectors,
    by label, shown with predictions. A label called `split` (train, validation or test) names the
    split of each sample; without it, samples are split at random by the option `split`. The labels
    of `open_labels` may have other values in the test split.

    ``*`` in `tasks` selects the labels of `pattern`, or those of a table that are in `numeric` or
    `vocabulary`, and all that `vectors`, `multi_label` and `maps` define.

    Files that match a glob of `ignore`, and those of `maps`, are not images. Any other file that is
    missing, damaged or does not match the pattern is an error, unless `skip_bad` is true: then it
    is skipped and counted.
    The table may name files outside `folder` only if `outside` is true.

    Images are decoded once and kept if they take at most `memory` GiB, by default half of the
    memory that is available; otherwise files are checked once and decoded on each access. With
    `reduce`, a JPEG of at least twice `size` is decoded at a half, quarter or eighth of its size,
    at least twice `size`, and resized from there: faster, with pixels that differ by less than 1 of
    255 on average.

    >>> Images(folder=Path("faces"), pattern="{subject}_{yaw}.png", size=32).channels
    3
    """

    folder: Path
    labels: Path | None = None
    pattern: str | None = attrs.field(default=None, validator=_one_source_of_labels)
    boxes: Boxes | None = None
    landmarks: Landmarks | None = attrs.field(default=None, validator=_one_region)
    maps: Mapping[str, LabelMaps] = attrs.field(factory=dict, validator=_whole)
    ignore: tuple[str, ...] = ()
    skip_bad: bool = False
    outside: bool = False
    memory: float | Literal["auto"] = attrs.field(
        default="auto", validator=word_or("auto", at_least_number(0))
    )

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        named = compile_pattern(self.pattern).groupindex if self.pattern else ()
        maps = {name: type(value.target) for name, value in self.maps.items()}
        return {**self.targets_of([*named]), **maps}

    @property
    def labels_of_pixels(self) -> bool:
        return bool(self.maps or self.vectors or self.boxes or self.landmarks)

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading, self.boxes or self.landmarks)

    def load(self, loading: Loading) -> Data:
        folder = find_folder(self.folder, (loading.base, Path()), "data.folder")
        listing = _list(self, folder, loading.base)
        labels = RowLabels.of(self, listing.rows, [*self.maps])
        frame = self.frame
        store = FileStore(folder, [row.file for row in listing.rows])
        limit = memory_limit(self.memory)
        regions: Sequence[Region | None] | None = None
        unreadable: dict[int, str] = {}
        if table := self.boxes or self.landmarks:
            path = find_file(table.table, (folder, loading.base, Path()), "data.table")
            regions, unreadable = table.regions(path, [row.file for row in listing.rows], frame)
        order = _by_split(self, labels.single)
        pixels, unread = read_images(store.at(order), frame, loading, limit, _at(regions, order))
        unreadable = {order[place]: reason for place, reason in unread.items()} | unreadable
        faults = [*listing.faults]
        faults += [Fault(listing.rows[index].file, reason) for index, reason in unreadable.items()]
        faults.sort(key=lambda fault: fault.file)
        total = len(listing.rows) + len(listing.faults)
        if faults and not self.skip_bad:
            raise DataError(*fault_report(faults, total, self.folder))
        good = [index for index in range(len(listing.rows)) if index not in unreadable]
        if not good:
            raise DataError(f"{self.folder}: {no_images(faults, listing.other)}")
        labels = labels.at(good)
        indices = split_indices(self.split, labels.single)
        if unreadable and pixels is not None:  # the split is another one without these
            del pixels
            order = [good[index] for chosen in indices.values() for index in chosen]
            pixels, _ = read_images(store.at(order), frame, loading, limit, _at(regions, order))
        pool = DecoderPool(threads(loading))
        positions = {name: [good[index] for index in chosen] for name, chosen in indices.items()}
        inputs = _inputs(pixels, StoredImages(store, frame, pool, regions=regions), positions)
        columns = labels.columns(indices)
        maps = _label_maps(self, folder, labels.rows, indices, pool)
        splits = {
            name: Split(
                inputs=inputs[name],
                columns={**columns[name], **maps[name]},
                ids=[labels.rows[i].file for i in chosen],
            )
            for name, chosen in indices.items()
        }
        summary = self.summary(labels, splits)
        summary |= {label: value.target.noun for label, value in self.maps.items()}
        summary |= skipped_files(faults, listing.other)
        return self.data(splits, summary)


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
                [paths[index] for index in chosen],
                [folder / rows[index].file for index in chosen],
                maps,
                (frame.height, frame.width),
                pool,
            )
            columns[split][label] = Labels(maps.target, stored)
    return columns


def _list(config: Images, folder: Path, base: Path) -> Listing:
    if config.pattern is not None:
        return _without_maps(config, list_by_pattern(folder, config.pattern, config.ignore))
    assert config.labels is not None, "the validator requires labels or a pattern"
    table = find_file(config.labels, (folder, base, Path()), "data.labels")
    return list_by_table(folder, read_table(table), config.ignore, outside=config.outside)


def _without_maps(config: Images, listing: Listing) -> Listing:
    """Return `listing` without the files that `maps` names for another one."""
    paths = [(row.file, m.path(row.file)) for row in listing.rows for m in config.maps.values()]
    maps = {path for image, path in paths if path != image}
    rows = [row for row in listing.rows if row.file not in maps]
    faults = [fault for fault in listing.faults if fault.file not in maps]
    return Listing(rows, faults, listing.other)


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
        counts = [len(chosen) for chosen in splits.values()]
        parts = torch.split(pixels, counts)
        return dict(zip(splits, parts, strict=True))
    return {
        name: attrs.evolve(stored, positions=torch.tensor(chosen))
        for name, chosen in splits.items()
    }
