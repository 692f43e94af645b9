"""Data source of rendered faces: subjects for training, and others for testing."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import numpy.typing as npt
import torch
from mtlkit_synthetic_faces import FaceSet
from mtlkit_synthetic_faces.protocol import EXPRESSIONS, POSES
from mtlkit_synthetic_faces.worker_pool import WorkerError
from torch import Tensor

from mtlkit.data import (
    Categorical,
    Data,
    DataSource,
    Frame,
    Loading,
    Split,
    read_new_images,
    read_table,
)
from mtlkit.plugins import DataError, at_least, between, optional
from mtlkit_face.data.holdout import holdout_mask
from mtlkit_face.data.label_columns import label_column

if TYPE_CHECKING:
    from mtlkit_synthetic_faces import RenderedSet


@attrs.frozen(kw_only=True)
class Rendered(DataSource, FaceSet):
    """Rendered faces with the labels subject, yaw, light, expression and session.

    With all 20 lights, light has 20 classes; `face/multi-pie` has 19. In style 1, lights 0 and 19
    are both the room's light alone, and their images differ only by exposure and noise. They cannot
    be distinguished, so accuracy on light is limited to about 0.95 (docs/explanation/faces.md has
    the figures). In style 2 all lights differ.

    The options of `FaceSet` describe the training subjects. The test split has `test_subjects`
    other subjects with `test_images_per_subject` images each (None: as many as in training).
    `validation` is the fraction of each training subject's images that is held out of training, to
    measure the tasks on known subjects. With `standardize`, the network reads each image shifted
    and scaled to mean 0 and standard deviation 1, so that brightness and contrast do not count.

    `labels` is a table, CSV or Parquet, with further class labels; its column `file` has the id of
    the image. A label is missing if the image has no row or an empty cell. A relative path is
    resolved against the recipe's folder.
    """

    subjects: int = attrs.field(default=240, validator=at_least(1))
    test_subjects: int = attrs.field(default=60, validator=at_least(1))
    images_per_subject: int | None = attrs.field(default=104, validator=optional(at_least(2)))
    test_images_per_subject: int | None = attrs.field(default=None, validator=optional(at_least(2)))
    validation: float = attrs.field(default=0.1, validator=between(0, 0.9))
    standardize: bool = False
    labels: Path | None = None

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return read_new_images(rows, self.frame, loading)

    @property
    def frame(self) -> Frame:
        return Frame(self.size, self.size, self.channels, crop=1.0)

    def load(self, loading: Loading) -> Data:
        """Render or load the faces of the training, validation and test splits.

        Raises `DataError` if the cache folder cannot be written, or if a rendering process fails.
        """
        train, test = self.render(loading)
        labels = read_labels(self.labels, loading.base)
        held_out = holdout_mask(train.rows.subject, self.validation, self.seed)
        data = Data(
            train=_split(train, np.flatnonzero(~held_out), labels),
            validation=_split(train, np.flatnonzero(held_out), labels) if held_out.any() else None,
            test=_split(test, np.arange(len(test.rows)), labels),
            open_labels=frozenset({"subject"}),
            standardize=self.standardize,
            summary={
                "faces": f"rendered, {self.size} px, {'gray' if self.channels == 1 else 'RGB'}",
                "training subjects": str(self.subjects),
                "test subjects": f"{self.test_subjects}, none of them in training",
                "training images": str(int((~held_out).sum())),
                "validation images": str(int(held_out.sum())),
                "test images": str(len(test.rows)),
            },
        )
        ids = {image for split in data.splits().values() for image in split.ids}
        unknown = [image for column in labels.values() for image in column if image not in ids]
        if unknown:
            raise DataError(
                f"data.labels: {self.labels}: {len(unknown)} labels are for unknown faces, such as "
                f"{unknown[0]!r}; use the table of these faces"
            )
        return data

    def render(self, loading: Loading) -> "tuple[RenderedSet, RenderedSet]":
        """Render or load the faces of the training subjects, and those of the test subjects."""
        return self._render(loading, test=False), self._render(loading, test=True)

    def _render(self, loading: Loading, *, test: bool) -> "RenderedSet":
        from mtlkit_synthetic_faces import render_set  # imports numba

        label = "rendering test faces" if test else "rendering training faces"
        try:
            return render_set(
                self.faces(test=test),
                cache=loading.cache / "faces" if loading.cache is not None else None,
                workers=loading.workers,
                progress=lambda done, total: loading.progress(label, done, total),
            )
        except WorkerError as cause:
            raise DataError(f"{label}: {cause}") from cause
        except OSError as cause:
            raise DataError(
                f"{loading.cache}: the rendered faces cannot be cached: {cause.strerror or cause}. "
                f"No partial file remains; free some space, or choose another folder with --cache"
            ) from cause

    def faces(self, *, test: bool = False) -> FaceSet:
        """Return the set of training faces, or of test faces, whose subjects are numbered next."""
        options = {field.name: getattr(self, field.name) for field in attrs.fields(FaceSet)}
        if test:
            options["first_subject"] += self.subjects
            options["subjects"] = self.test_subjects
            if self.test_images_per_subject is not None:
                options["images_per_subject"] = self.test_images_per_subject
        return FaceSet(**options)


class ArrayImages:
    """Images (N, C, H, W) of an array in memory or on disk, selected by `index`."""

    def __init__(self, images: npt.NDArray[np.uint8], index: npt.NDArray[np.intp]) -> None:
        self._images = images
        self._index = index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return torch.from_numpy(self._images[self._index[index.numpy()]])


def _split(
    rendered: "RenderedSet", index: npt.NDArray[np.intp], labels: Mapping[str, Mapping[str, str]]
) -> Split:
    faces, rows = rendered.faces, rendered.rows.take(index)
    people = range(faces.first_subject, faces.first_subject + faces.subjects)
    # vocabularies of the whole set, so that splits share class codes
    columns = {
        "subject": label_column(rows.subject, people),
        "session": label_column(rows.session, range(faces.sessions)),
        "yaw": label_column(rows.yaw, sorted({camera.yaw for camera in POSES[: faces.poses]})),
        "light": label_column(rows.light, faces.light_numbers),
        "expression": label_column(rows.expression, range(faces.expressions), EXPRESSIONS),
    }
    expressions = [EXPRESSIONS[number] for number in rows.expression]
    ids = [
        f"subject{s}-session{t}-yaw{y:+d}-pose{p}-light{li}-{e}"
        for s, t, y, p, li, e in zip(
            rows.subject, rows.session, rows.yaw, rows.pose, rows.light, expressions, strict=True
        )
    ]
    for name, known in labels.items():
        if name in columns:
            raise DataError(
                f"data.labels: rendered faces already have a label {name!r}; rename the column"
            )
        names = Categorical.of(list(known.values())).names
        columns[name] = Categorical.of([known.get(image) for image in ids], names)
    return Split(inputs=ArrayImages(rendered.images, index), columns=columns, ids=ids)


def read_labels(table: Path | None, base: Path) -> dict[str, dict[str, str]]:
    """Return the labels of each column of a table by the id of the image."""
    if table is None:
        return {}
    path = next((root / table for root in (base, Path()) if (root / table).is_file()), None)
    if path is None:
        raise DataError(f"data.labels: no such file: {table} (tried in {base.absolute()})")
    rows = read_table(path)
    labels: dict[str, dict[str, str]] = {name: {} for row in rows[:1] for name in row.labels}
    location_of: dict[str, str] = {}
    for row in rows:
        if row.file in location_of:
            raise DataError(
                f"{row.place}: {row.file!r} is already listed at {location_of[row.file]}"
            )
        location_of[row.file] = row.place
        for name, label in row.labels.items():
            if label is not None:
                labels[name][row.file] = label
    return labels
