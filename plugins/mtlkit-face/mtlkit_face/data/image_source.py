"""Sources of encoded face images: list, leave out, check, label, hold out, mirror."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import Categorical, Data, DataSource, Frame, Loading, Split, threads
from mtlkit.plugins import DataError, at_least, between
from mtlkit_face.data.holdout import holdout_mask
from mtlkit_face.data.input_files import locate, read_lines
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.side_labels import SideLabels, read_side_labels
from mtlkit_face.data.stored_faces import SHOWN, StoredFaces, complaint, faults

MIRROR = "#mirror"
"""The end of the id of a mirrored image."""

Positions = npt.NDArray[np.intp]


def gray_or_colour(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    """Validator: 1 or 3 channels."""
    if value not in (1, 3):
        raise ValueError(f"{field.name}: expected 1 (gray) or 3 (RGB), found {value!r}")


def _with_a_table(
    faces: "FaceImageSource", field: "attrs.Attribute[Any]", value: tuple[str, ...]
) -> None:
    if value and faces.labels is None:
        raise ValueError(f"{field.name}: are columns of a table; name it under `labels`")
    if field.name == "numeric" and (both := set(value) & set(faces.classes)):
        raise ValueError(f"numeric: {sorted(both)[0]!r} stands under `classes` too")


def _mirrored(faces: "FaceImageSource", field: "attrs.Attribute[Any]", value: object) -> None:
    """Every label says what a mirror makes of it, for a pose unchanged would be a wrong label."""
    said = [*faces.swap, *faces.negate, *faces.keep]
    if not faces.mirror:
        if said:
            raise ValueError(f"{field.name}: {said[0]!r} is mirrored only with `mirror: true`")
        return
    for label in (*faces.classes, *faces.numeric):
        if said.count(label) != 1:
            raise ValueError(
                f"mirror: what becomes of the label {label!r} in a mirror? Name it under one of "
                f"`swap`, `negate` and `keep`"
            )
    for option, names, known in (
        ("swap", faces.swap, faces.classes),
        ("negate", faces.negate, faces.numeric),
        ("keep", faces.keep, (*faces.classes, *faces.numeric)),
    ):
        for name in names:
            if name not in known:
                raise ValueError(f"{option}: there is no such label here: {name!r}")


@attrs.frozen(kw_only=True)
class FaceImageSource(DataSource):
    """What sources of faces in the wild have in common.

    Images are decoded whenever they are asked for, and brought to `size` and `channels`: the paper
    takes 100 and 1 (gray), most others 112 and 3. All subjects are trained on but those that the
    text file `without` names, one to a line. `validation` is the part of each subject's images
    that is held out of training.

    `labels` is a table, CSV or Parquet, with a column `file`, such as `mtlkit face label-pose`
    writes. `classes` and `numeric` are its columns to take as labels; an empty cell, ``-1`` among
    classes, and an image that is not in the table have none.

    With `mirror`, the training images come a second time, left and right exchanged, as the paper's
    do. For each label one says what a mirror makes of it: `swap` exchanges two classes, `negate`
    the sign of a number, and `keep` leaves it.

    Every image is decoded once before training, so that a damaged one does not end it days later;
    `check: false` trusts the files. `skip_bad` leaves images that cannot be used out, and counts
    them.
    """

    size: int = attrs.field(default=100, validator=at_least(8))
    channels: int = attrs.field(default=1, validator=gray_or_colour)
    without: Path | None = None
    validation: float = attrs.field(default=0.0, validator=between(0, 0.9))
    seed: int = attrs.field(default=0, validator=at_least(0))
    labels: Path | None = None
    classes: tuple[str, ...] = attrs.field(default=(), validator=_with_a_table)
    numeric: tuple[str, ...] = attrs.field(default=(), validator=_with_a_table)
    mirror: bool = False
    swap: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    negate: tuple[str, ...] = ()
    keep: tuple[str, ...] = attrs.field(default=(), validator=_mirrored)
    check: bool = True
    skip_bad: bool = attrs.field(default=False)

    @skip_bad.validator
    def _only_checked(self, _: "attrs.Attribute[bool]", value: bool) -> None:
        if value and not self.check:
            raise ValueError(
                "skip_bad: finds bad images by a look at all; leave out `check: false`"
            )


def load_listing(
    source: FaceImageSource, listing: FaceListing, where: Path, loading: Loading
) -> Data:
    """The data of `source` from its `listing` of the folder or file `where`.

    Raises `DataError` where the faces cannot be had whole.
    """
    frame = Frame(source.size, source.size, source.channels)
    facts = {"images": f"{len(listing.ids):,}"}
    kept, more = _wanted(source, listing, where, loading)
    facts |= more
    bad = faults(listing.store, frame, loading) if source.check else {}
    bad = {position: fault for position, fault in bad.items() if kept[position]}
    if bad and not source.skip_bad:
        raise DataError(
            f"{complaint(str(where), listing.store, bad)}\n"
            f"mend them, or let `skip_bad: true` leave them out and count them"
        )
    kept[[*bad]] = False
    if bad:
        facts["left out, for they cannot be used"] = f"{len(bad):,} images"
    if not kept.any():
        raise DataError(f"{where}: no image is left to train on")
    labels = SideLabels({}, {})
    if source.labels is not None:
        bases = (where if where.is_dir() else where.parent, loading.base, Path())
        labels = read_side_labels(
            locate(source.labels, bases, "labels"), listing.ids, source.classes, source.numeric
        )
    division = _Division.of(source, listing, np.flatnonzero(kept))
    inputs = _LabeledFaces(source, listing, labels, frame, threads(loading), division)
    return Data(
        train=inputs.split(division.train, mirror=source.mirror),
        validation=inputs.split(division.validation, mirror=False)
        if len(division.validation)
        else None,
        open_labels=frozenset(),
        summary=facts | _facts(source, listing, labels, division),
    )


def _wanted(
    source: FaceImageSource, listing: FaceListing, where: Path, loading: Loading
) -> tuple[npt.NDArray[np.bool_], dict[str, str]]:
    """Which faces (N,) are of subjects that `without` does not name."""
    kept = np.ones(len(listing.ids), bool)
    if source.without is None:
        return kept, {}
    base = where if where.is_dir() else where.parent
    path = locate(source.without, (base, loading.base, Path()), "without")
    lines = read_lines(path, "a name in each line", "without")
    names = {line.strip() for line in lines if line.strip()}
    strangers = sorted(names - set(listing.subjects))
    if strangers:
        raise DataError(
            f"{path}: there is no subject {strangers[0]!r} to leave out ({len(strangers)} of "
            f"{len(names)} names are unknown)"
        )
    kept = np.array([subject not in names for subject in listing.subjects])
    left = f"{int((~kept).sum()):,} images of {len(names):,} subjects"
    return kept, {"left out, as asked": left}


@attrs.frozen(eq=False)
class _Division:
    """Positions of training and validation images, and the subjects' names."""

    train: Positions
    validation: Positions
    names: tuple[str, ...]

    @classmethod
    def of(cls, source: FaceImageSource, listing: FaceListing, kept: Positions) -> "_Division":
        own = [listing.subjects[position] for position in kept]
        column = Categorical.of(own)
        apart = holdout_mask(column.codes.numpy(), source.validation, source.seed)
        return cls(kept[~apart], kept[apart], column.names)


@attrs.frozen(eq=False)
class _LabeledFaces:
    """What splits are made of."""

    source: FaceImageSource
    listing: FaceListing
    labels: SideLabels
    frame: Frame
    workers: int
    division: _Division

    def split(self, positions: Positions, *, mirror: bool) -> Split:
        """The faces at `positions`, and after them their mirror images, if asked for."""
        flipped = np.zeros(len(positions), bool)
        if mirror:
            flipped = np.concatenate([flipped, ~flipped])
            positions = np.concatenate([positions, positions])
        listing = self.listing
        subject = Categorical.of([listing.subjects[i] for i in positions], self.division.names)
        return Split(
            inputs=StoredFaces(listing.store, positions, flipped, self.frame, self.workers),
            columns={
                "subject": subject,
                **self.labels.columns(positions, flipped, self.source.swap, self.source.negate),
            },
            ids=[
                listing.ids[i] + (MIRROR if flip else "")
                for i, flip in zip(positions, flipped, strict=True)
            ],
        )


def _facts(
    source: FaceImageSource, listing: FaceListing, labels: SideLabels, division: _Division
) -> dict[str, str]:
    colour = "gray" if source.channels == 1 else "RGB"
    mirrored = ", and their mirror images" if source.mirror else ""
    facts = {
        "size": f"{source.size} x {source.size} pixels, {colour}",
        "subjects": f"{len(division.names):,}",
        "training images": f"{len(division.train):,}{mirrored}",
        "validation images": f"{len(division.validation):,}",
    }
    if listing.other:
        facts["no faces of a subject"] = f"{len(listing.other):,}, such as {listing.other[0]}"
    for name, values in labels.classes.items():
        known = [values[i] for i in division.train if values[i] is not None]
        sizes = Counter(sorted(filter(None, known)))  # of one size, in the order of their names
        counts = ", ".join(f"{size:,} {each}" for each, size in sizes.most_common(SHOWN))
        counts += ", ..." if len(sizes) > SHOWN else ""
        facts[name] = f"{counts}; unknown for {len(division.train) - len(known):,}"
    for name, numbers in labels.numeric.items():
        missing = int(np.isnan(numbers[division.train]).sum())
        facts[name] = f"a number; unknown for {missing:,}"
    return facts
