"""Photographs with labels: a folder, and a table of labels or a pattern of file names."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.component import at_least
from mtlkit.data.filename_pattern import compile_pattern
from mtlkit.data.source import DataSource, Loading
from mtlkit.data.split import Division

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data


def _one_source_of_labels(images: "Images", _: "attrs.Attribute[Any]", value: str | None) -> None:
    if (images.labels is None) == (value is None):
        found = "neither" if value is None else "both"
        raise ValueError(f"pattern: expected one of `labels` and `pattern`, found {found}")
    if value is not None:
        try:
            compile_pattern(value)
        except ValueError as cause:
            raise ValueError(f"pattern: {cause}; found {value!r}") from cause


def _height_and_width(images: "Images", field: "attrs.Attribute[Any]", value: Any) -> None:
    sides = value if isinstance(value, tuple) else (value, value)
    if len(sides) != 2:
        raise ValueError(f"size: expected one number, or height and width, found {value!r}")
    for side in sides:
        at_least(1)(images, field, side)


def _gray_or_colour(_: "Images", __: "attrs.Attribute[Any]", value: Any) -> None:
    if value not in (1, 3):
        raise ValueError(f"channels: expected 1 (gray) or 3 (RGB), found {value!r}")


def _words(images: "Images", _: "attrs.Attribute[Any]", value: Mapping[str, Any]) -> None:
    for label, names in value.items():
        if len(set(names)) != len(names) or not names:
            raise ValueError(f"vocabulary: {label}: expected different names, found {list(names)}")
        if label in images.numeric:
            raise ValueError(f"vocabulary: {label}: is a number (see `numeric`), it has no names")
        by = images.split.by if images.split else None
        if label in (by, *images.open_labels):
            raise ValueError(f"vocabulary: {label}: has strangers in the test, it cannot be fixed")


@attrs.frozen(kw_only=True)
class Images(DataSource):
    """The images in a folder, with labels from a table or from the names of the files.

    `labels` is a table, CSV or Parquet, with a column `file`; it is looked for in `folder`, then
    beside the recipe. `pattern` reads the labels from each file's name instead:
    ``{subject}_{pose}_*.png``, see `mtlkit.data.filename_pattern`. An empty cell is a missing
    label.
    `folder` is relative to the recipe, or else to the working directory.

    Every image is brought to `size` (a side, or height and width) and to `channels`. Labels are
    classes, with the names found in training in natural order or those of `vocabulary`, except
    for `numeric` ones. A label called `split` (train, validation or test) divides the samples,
    with the labels of `open_labels` strangers in the test; without it, `split` does.

    Files that match a glob of `ignore` are not looked at. Any other that is missing, damaged or
    matches no pattern stops the run, unless `skip_bad` leaves them out and counts them.

    >>> Images(folder=Path("faces"), pattern="{subject}_{yaw}.png", size=32).channels
    3
    """

    folder: Path
    size: int | tuple[int, int] = attrs.field(validator=_height_and_width)
    labels: Path | None = None
    pattern: str | None = attrs.field(default=None, validator=_one_source_of_labels)
    channels: int = attrs.field(default=3, validator=_gray_or_colour)
    numeric: tuple[str, ...] = ()
    vocabulary: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, validator=_words)
    split: Division | None = None  # None: the label `split`, or else the defaults of a division
    open_labels: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    skip_bad: bool = False

    def load(self, loading: Loading) -> "Data":
        from mtlkit.data.load_images import load_images

        return load_images(self, loading)
