"""Base of data sources of encoded face images: exclude, check, label, hold out, mirror."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import (
    Boxes,
    ClassTarget,
    Data,
    DataSource,
    DecoderPool,
    Frame,
    Landmarks,
    Loading,
    NumberTarget,
    RandomSplit,
    Region,
    RegionTable,
    Split,
    StoredImages,
    Target,
    read_new_images,
    threads,
)
from mtlkit.plugins import DataError, at_least, between, word_or
from mtlkit_face.data.input_files import locate, read_lines
from mtlkit_face.data.labeled_faces import LabeledFaces
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.side_labels import SideLabels, read_side_labels
from mtlkit_face.data.split_positions import SplitPositions
from mtlkit_face.data.stored_faces import MAX_SHOWN, fault_report, find_faults


def gray_or_rgb(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    """Validate a number of channels, 1 or 3."""
    if value not in (1, 3):
        raise ValueError(f"{field.name}: got {value!r}, expected 1 (gray) or 3 (RGB)")


def _columns_of_labels(
    faces: "FaceImageSource", field: "attrs.Attribute[Any]", value: tuple[str, ...]
) -> None:
    if value and faces.labels is None:
        raise ValueError(f"{field.name}: requires a table; set `labels`")
    if field.name == "numeric" and (both := set(value) & set(faces.classes)):
        raise ValueError(f"numeric: {sorted(both)[0]!r} is also in `classes`; remove one of them")


def _one_region(faces: "FaceImageSource", _: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and faces.boxes is not None:
        raise ValueError("landmarks: expected one of `boxes` and `landmarks`, got both")


def _mirrored(faces: "FaceImageSource", field: "attrs.Attribute[Any]", value: object) -> None:
    """Validate that each label has one rule for mirrored images, since mirroring changes a pose."""
    labels = [*faces.swap, *faces.negate, *faces.keep]
    if not faces.mirror:
        if labels:
            raise ValueError(f"{field.name}: {labels[0]!r} is used only with `mirror: true`")
        return
    for label in (*faces.classes, *faces.numeric):
        if labels.count(label) != 1:
            raise ValueError(
                f"mirror: the label {label!r} needs a rule for mirrored images; add it to one of "
                f"`swap`, `negate` and `keep`"
            )
    for option, names, valid in (
        ("swap", faces.swap, faces.classes),
        ("negate", faces.negate, faces.numeric),
        ("keep", faces.keep, (*faces.classes, *faces.numeric)),
    ):
        for name in names:
            if name not in valid:
                raise ValueError(
                    f"{option}: got {name!r}, expected a label of: {', '.join(valid) or 'none'}"
                )


@attrs.frozen(kw_only=True)
class FaceImageSource(DataSource):
    """Base of the sources of faces in the wild.

    Images are decoded on access, and converted to `size` and `channels`: the paper uses 100 and 1
    (gray), most others 112 and 3. The text file `without` names subjects to exclude, one per line.
    `validation` is the fraction of each subject's images that is held out of training.

    With `standardize`, the network reads each image shifted and scaled to mean 0 and standard
    deviation 1, so that brightness and contrast do not count.

    `boxes` cuts faces out, and `landmarks` aligns them, by a table with a row for each image, see
    `mtlkit.data.Boxes` and `Landmarks`. Without them, `crop` is the part of the largest centered
    square that is kept, or ``whole`` for the whole image, stretched. The rule is saved with the
    run, and new images are framed by it.

    `split` splits the data as that of `images` does: `groups: subject` gives a test split of unseen
    subjects. A column `split` of `labels` (train, validation, test) names the split of each image
    instead; without it, an image is in training. Subjects that are only in the test split are
    missing there as classes.

    `labels` is a table, CSV or Parquet, with a column `file`, such as the output of `mtlkit face
    label-pose`. `classes` and `numeric` are the columns to read as labels. A label is missing if
    its cell is empty, if its class is ``-1``, or if the image is not in the table.

    With `mirror`, the training set also contains each image mirrored, as in the paper. Each label
    needs a rule for mirrored images: `swap` exchanges two classes, `negate` changes the sign of a
    number, and `keep` leaves it unchanged.

    Every image is decoded once before training, to report damaged files early; `check: false`
    disables this. `skip_bad` skips and counts images that cannot be used.
    """

    size: int = attrs.field(default=100, validator=at_least(8))
    channels: int = attrs.field(default=1, validator=gray_or_rgb)
    standardize: bool = False
    without: Path | None = None
    crop: float | Literal["whole"] = attrs.field(
        default=1.0, validator=word_or("whole", between(0.01, 1))
    )
    boxes: Boxes | None = None
    landmarks: Landmarks | None = attrs.field(default=None, validator=_one_region)
    split: RandomSplit | None = None
    validation: float = attrs.field(default=0.0, validator=between(0, 0.9))
    seed: int = attrs.field(default=0, validator=at_least(0))
    labels: Path | None = None
    classes: tuple[str, ...] = attrs.field(default=(), validator=_columns_of_labels)
    numeric: tuple[str, ...] = attrs.field(default=(), validator=_columns_of_labels)
    mirror: bool = False
    swap: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    negate: tuple[str, ...] = ()
    keep: tuple[str, ...] = attrs.field(default=(), validator=_mirrored)
    check: bool = True
    skip_bad: bool = attrs.field(default=False)

    @skip_bad.validator
    def _requires_check(self, _: "attrs.Attribute[bool]", value: bool) -> None:
        if value and not self.check:
            raise ValueError("skip_bad: requires the check of all images; remove `check: false`")

    def __attrs_post_init__(self) -> None:
        label = self.split and (self.split.groups or self.split.stratify)
        if label not in (None, "subject"):
            raise ValueError(f"split: got the label {label!r}, expected subject")
        if self.split is not None and self.validation:
            raise ValueError("validation: expected one of `split` and `validation`, got both")

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        classes = dict.fromkeys(("subject", *self.classes), ClassTarget)
        return {**classes, **dict.fromkeys(self.numeric, NumberTarget)}

    @property
    def region_table(self) -> RegionTable | None:
        """Table of the regions to cut out, if any."""
        return self.boxes or self.landmarks

    @property
    def frame(self) -> Frame:
        whole = self.crop == "whole" or self.region_table is not None
        crop = None if whole else float(self.crop)
        return Frame(self.size, self.size, self.channels, crop=crop)

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading, self.region_table)


def load_listing(
    source: FaceImageSource, listing: FaceListing, root: Path, loading: Loading
) -> Data:
    """Return the data of `source` from the `listing` of its folder or file `root`.

    Raises `DataError` if images or labels cannot be used.
    """
    frame = source.frame
    kept, exclusions = _not_excluded(source, listing, root, loading)
    facts = {"images": f"{len(listing.ids):,}"} | exclusions
    bases = (root if root.is_dir() else root.parent, loading.base, Path())
    regions: Sequence[Region | None] | None = None
    bad: dict[int, str] = {}
    if (table := source.region_table) is not None:
        path = locate(table.table, bases, "table")
        regions, bad = table.regions(path, listing.ids, frame)
    if source.check:
        bad = find_faults(listing.store, frame, loading, regions) | bad
    bad = {position: fault for position, fault in bad.items() if kept[position]}
    if bad and not source.skip_bad:
        raise DataError(
            *fault_report(str(root), listing.store, bad),
            "repair them, or skip and count them with `skip_bad: true`",
        )
    kept[[*bad]] = False
    if bad:
        facts["skipped as unusable"] = f"{len(bad):,} images"
    if not kept.any():
        raise DataError(f"{root}: no image remains to train on")
    labels = SideLabels({}, {})
    if source.labels is not None:
        labels = read_side_labels(
            locate(source.labels, bases, "labels"), listing.ids, source.classes, source.numeric
        )
    splits = SplitPositions.of(
        listing, labels, np.flatnonzero(kept), source.split, source.validation, source.seed
    )
    pool = DecoderPool(threads(loading))
    images = StoredImages(listing.store, frame, pool, checked_before=source.check, regions=regions)
    faces = LabeledFaces(listing, labels, images, splits, source.swap, source.negate)
    return Data(
        train=faces.split(splits.train, mirror=source.mirror),
        validation=faces.split(splits.validation, mirror=False) if len(splits.validation) else None,
        test=faces.split(splits.test, mirror=False) if len(splits.test) else None,
        open_labels=frozenset({"subject"}) if len(splits.test) else frozenset(),
        summary=facts | _facts(source, listing, labels, splits),
        frame=frame,
        standardize=source.standardize,
    )


def _not_excluded(
    source: FaceImageSource, listing: FaceListing, root: Path, loading: Loading
) -> tuple[npt.NDArray[np.bool_], dict[str, str]]:
    """Return a mask (N,) of faces of subjects that are not in `without`, and facts on the rest."""
    kept = np.ones(len(listing.ids), bool)
    if source.without is None:
        return kept, {}
    base = root if root.is_dir() else root.parent
    path = locate(source.without, (base, loading.base, Path()), "without")
    lines = read_lines(path, "a name in each line", "without")
    names = {line.strip() for line in lines if line.strip()}
    unknown = sorted(names - set(listing.names))
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} of {len(names)} names are not subjects of the data, such as "
            f"{unknown[0]!r}; correct or remove them"
        )
    kept = np.array([name not in names for name in listing.names])[listing.codes]
    excluded = f"{int((~kept).sum()):,} images of {len(names):,} subjects"
    return kept, {"excluded by `without`": excluded}


def _facts(
    source: FaceImageSource, listing: FaceListing, labels: SideLabels, splits: SplitPositions
) -> dict[str, str]:
    color = "gray" if source.channels == 1 else "RGB"
    mirrored = ", and their mirror images" if source.mirror else ""
    facts = {
        "size": f"{source.size} x {source.size} pixels, {color}",
        "subjects": f"{len(splits.names):,}",
        "training images": f"{len(splits.train):,}{mirrored}",
        "validation images": f"{len(splits.validation):,}",
    }
    if len(splits.test):
        facts["test images"] = (
            f"{len(splits.test):,} of {len(splits.tested):,} subjects, "
            f"{len(splits.unseen):,} unseen"
        )
    if source.region_table is not None:
        facts["framing"] = f"by {type(source.region_table).__name__.lower()}"
    elif source.crop != "whole":
        facts["framing"] = f"{source.crop:g} of the largest centered square"
    if listing.other:
        facts["other files"] = f"{len(listing.other):,}, such as {listing.other[0]}"
    for name, values in labels.classes.items():
        known = [values[i] for i in splits.train if values[i] is not None]
        sizes = Counter(sorted(filter(None, known)))  # sorted: ties are in order of name
        counts = ", ".join(f"{size:,} {label}" for label, size in sizes.most_common(MAX_SHOWN))
        counts += ", ..." if len(sizes) > MAX_SHOWN else ""
        facts[name] = f"{counts}; unknown for {len(splits.train) - len(known):,}"
    for name, numbers in labels.numeric.items():
        missing = int(np.isnan(numbers[splits.train]).sum())
        facts[name] = f"a number; unknown for {missing:,}"
    return facts
