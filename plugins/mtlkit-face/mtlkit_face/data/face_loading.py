"""From faces in the wild to data: list, leave out, check, label, hold out, mirror."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data.configs import Loading
from mtlkit.data.dataset import Categorical, Data, Split
from mtlkit.data.decode import Frame, threads
from mtlkit.errors import DataError
from mtlkit_face.data.face_source import FaceFolder, FaceRecords, WildFaces
from mtlkit_face.data.holdout import held_out
from mtlkit_face.data.listing import (
    Listing,
    list_files,
    list_folder,
    list_records,
)
from mtlkit_face.data.side_labels import SideLabels, read_side_labels
from mtlkit_face.data.stored_faces import SHOWN, StoredFaces, complaint, faults
from mtlkit_face.data.text_file import read_lines

MIRROR = "#mirror"
"""The end of the id of a mirrored image."""

Positions = npt.NDArray[np.intp]


def load_folder(source: FaceFolder, loading: Loading) -> Data:
    """The faces of a folder; `DataError` where they cannot be had whole."""
    folder = found(source.folder, (loading.base, Path()), "folder")
    if source.files is None:
        return _load(source, list_folder(folder), folder, loading)
    listed = found(source.files, (folder, loading.base, Path()), "files")
    return _load(source, list_files(folder, listed), folder, loading)


def load_records(source: FaceRecords, loading: Loading) -> Data:
    """The faces of a RecordIO file; `DataError` where they cannot be had whole."""
    path = found(source.file, (loading.base, Path()), "file")
    return _load(source, list_records(path, loading.progress), path, loading)


def found(path: Path, bases: Sequence[Path], option: str) -> Path:
    """The file or folder at `path` below the first of `bases` that has it."""
    for base in bases:
        if (base / path).exists():
            return base / path
    places = " and ".join(dict.fromkeys(str((base / path).absolute()) for base in bases))
    raise DataError(
        f"data.{option}: there is no {path} (looked for {places}); set it by "
        f"`--set data.{option}=...`"
    )


def _load(source: WildFaces, listing: Listing, where: Path, loading: Loading) -> Data:
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
        labels = read_side_labels(source, found(source.labels, bases, "labels"), listing.ids)
    division = _Division.of(source, listing, np.flatnonzero(kept))
    inputs = _Faces(source, listing, labels, frame, threads(loading), division)
    return Data(
        train=inputs.split(division.train, mirror=source.mirror),
        validation=inputs.split(division.validation, mirror=False)
        if len(division.validation)
        else None,
        open_labels=frozenset(),
        summary=facts | _facts(source, listing, labels, division),
    )


def _wanted(
    source: WildFaces, listing: Listing, where: Path, loading: Loading
) -> tuple[npt.NDArray[np.bool_], dict[str, str]]:
    """Which faces (N,) are of subjects that `without` does not name."""
    kept = np.ones(len(listing.ids), bool)
    if source.without is None:
        return kept, {}
    base = where if where.is_dir() else where.parent
    path = found(source.without, (base, loading.base, Path()), "without")
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
    def of(cls, source: WildFaces, listing: Listing, kept: Positions) -> "_Division":
        own = [listing.subjects[position] for position in kept]
        column = Categorical.of(own)
        apart = held_out(column.codes.numpy(), source.validation, source.seed)
        return cls(kept[~apart], kept[apart], column.names)


@attrs.frozen(eq=False)
class _Faces:
    """What splits are made of."""

    source: WildFaces
    listing: Listing
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
                **self.labels.columns(self.source, positions, flipped),
            },
            ids=[
                listing.ids[i] + (MIRROR if flip else "")
                for i, flip in zip(positions, flipped, strict=True)
            ],
        )


def _facts(
    source: WildFaces, listing: Listing, labels: SideLabels, division: _Division
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
