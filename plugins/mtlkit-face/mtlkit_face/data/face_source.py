"""Faces gathered in the wild, as CASIA-WebFace is passed on: folders of subjects, or RecordIO."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from mtlkit.config import at_least, between
from mtlkit.data.configs import DataSource, Loading

if TYPE_CHECKING:
    from mtlkit.data.dataset import Data


def gray_or_colour(_: object, field: "attrs.Attribute[int]", value: object) -> None:
    """Validator: 1 or 3 channels."""
    if value not in (1, 3):
        raise ValueError(f"{field.name}: expected 1 (gray) or 3 (RGB), found {value!r}")


def _with_a_table(
    faces: "WildFaces", field: "attrs.Attribute[Any]", value: tuple[str, ...]
) -> None:
    if value and faces.labels is None:
        raise ValueError(f"{field.name}: are columns of a table; name it under `labels`")
    if field.name == "numeric" and (both := set(value) & set(faces.classes)):
        raise ValueError(f"numeric: {sorted(both)[0]!r} stands under `classes` too")


def _mirrored(faces: "WildFaces", field: "attrs.Attribute[Any]", value: object) -> None:
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
class WildFaces(DataSource):
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


@attrs.frozen(kw_only=True)
class FaceFolder(WildFaces):
    """Faces in a folder: a folder for each subject, or a list of files and subjects.

    In `folder`, an image belongs to the subject whose name the first folder of its path has. With
    `files`, a text file with lines ``path<TAB>subject``, these images are taken and no others;
    further columns are not looked at. It is looked for in `folder`, then beside the recipe.

    >>> FaceFolder(folder=Path("CASIA-WebFace")).size
    100
    """

    folder: Path
    files: Path | None = None

    def load(self, loading: Loading) -> "Data":
        from mtlkit_face.data.face_loading import load_folder

        return load_folder(self, loading)


@attrs.frozen(kw_only=True)
class FaceRecords(WildFaces):
    """Faces in a RecordIO file (``.rec``), as insightface and MXNet's ``im2rec`` pack them.

    Neither MXNet nor unpickling is needed. The index ``.idx`` beside it is used where there is one;
    a file ``property`` is held against the labels. In a table of `labels`, the column `file` is the
    key of a record.

    >>> FaceRecords(file=Path("faces_webface_112x112/train.rec"), size=112, channels=3).mirror
    False
    """

    file: Path

    def load(self, loading: Loading) -> "Data":
        from mtlkit_face.data.face_loading import load_records

        return load_records(self, loading)
