"""Pose labels of faces in the wild, by a network that was trained on rendered ones.

The paper labels CASIA-WebFace by the yaw of another method in three groups, up to 30 degrees being
frontal (section IV). Here the posterior of a group is the sum of its classes' posteriors, and a
face whose likeliest group has less than a threshold gets no label.
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import Tensor

from mtlkit import load_model
from mtlkit.data import Frame, read_table
from mtlkit.plugins import DataError
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.stored_faces import StoredFaces, portions

FRONTAL = 30.0
"""Degrees of yaw up to which a face is frontal."""

GROUPS = ("left", "front", "right")
"""Faces that look to the left edge of the picture (the paper's right), ahead, and to the right."""

UNSURE = ""
"""The cell of a face without a label; the readers take it for missing, as they do -1."""

COLUMNS = ("file", "pose", "posterior")


@attrs.frozen(eq=False)
class Estimator:
    """A trained network, the inputs it takes, and which of its classes belong to which group."""

    logits: Callable[[Tensor], Tensor]
    frame: Frame
    groups: Tensor  # (C, 3), 1 where a class belongs to a group

    @classmethod
    def load(cls, run: Path, task: str) -> "Estimator":
        """The network of a finished run, whose `task` predicts degrees of yaw.

        Raises `DataError` for a run without such a task, or one that takes no square images.
        """
        model = load_model(run)
        classes, shape = model.assembly.classes, model.assembly.sample_shape
        if task not in classes:
            raise DataError(
                f"{run}: the network has no classes of {task!r}; it has those of: "
                f"{', '.join(classes) or 'nothing'}. Say which by --task"
            )
        if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2]:
            raise DataError(f"{run}: the network takes inputs of shape {shape}, no square images")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device)

        def logits(images: Tensor) -> Tensor:
            found: Tensor = model(images.to(device)).outputs[task]
            return found.float().cpu()

        frame = Frame(shape[1], shape[2], shape[0])
        return cls(logits, frame, group_matrix(classes[task]))

    def posteriors(self, images: Tensor) -> Tensor:
        """The posterior (N, 3) of each group for images (N, C, H, W).

        It is the mean of what is said of an image and, left and right exchanged, of its mirror
        image: so a mirrored face has the mirrored label, as training with mirror images assumes.
        """
        with torch.inference_mode():
            plain, mirrored = (
                self.logits(each).softmax(dim=1) @ self.groups for each in (images, images.flip(-1))
            )
            return (plain + mirrored.flip(1)) / 2


def group_matrix(classes: Sequence[str]) -> Tensor:
    """Which of `classes` (C,), yaws in degrees, belong to which of the groups: (C, 3) of 0 and 1.

    >>> group_matrix(["-90", "-30", "0", "45"]).argmax(dim=1).tolist()
    [0, 1, 1, 2]
    """
    try:
        degrees = [float(name) for name in classes]
    except ValueError as cause:
        raise DataError(f"the classes of pose are no degrees of yaw: {cause}") from cause
    matrix = torch.zeros(len(classes), len(GROUPS))
    for row, yaw in enumerate(degrees):
        matrix[row, group_of(yaw)] = 1
    return matrix


def group_of(yaw: float) -> int:
    """The place of a yaw's group."""
    return 0 if yaw < -FRONTAL else 2 if yaw > FRONTAL else 1


@attrs.frozen(eq=False)
class Poses:
    """What is estimated of N faces: `posteriors` (N, 3) of the groups, and the threshold."""

    ids: Sequence[str]
    posteriors: Tensor
    threshold: float

    @property
    def best(self) -> Tensor:
        """The place of the likeliest group (N,)."""
        return self.posteriors.argmax(dim=1)

    @property
    def sure(self) -> Tensor:
        """Which faces (N,) get a label."""
        return self.posteriors.amax(dim=1) >= self.threshold

    def labels(self) -> list[str]:
        """The label of each face, `UNSURE` where there is none."""
        pairs = zip(self.best.tolist(), self.sure.tolist(), strict=True)
        return [GROUPS[best] if sure else UNSURE for best, sure in pairs]

    def counts(self) -> Mapping[str, int]:
        """How many faces each group has, and how many have no label."""
        labels = self.labels()
        return {**{name: labels.count(name) for name in GROUPS}, "unsure": labels.count(UNSURE)}

    def write(self, path: Path) -> None:
        """Write the table of labels, in Parquet or CSV by the ending of `path`."""
        shown = [f"{value:.4f}" for value in self.posteriors.amax(dim=1).tolist()]
        rows = list(zip(self.ids, self.labels(), shown, strict=True))
        if path.suffix.lower() == ".parquet":
            import pyarrow
            from pyarrow import parquet

            columns = [list(column) for column in zip(*rows, strict=True)]
            columns[1] = [label or None for label in columns[1]]
            parquet.write_table(pyarrow.table(dict(zip(COLUMNS, columns, strict=True))), path)
            return
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


def estimate_poses(
    estimator: Estimator,
    listing: FaceListing,
    threshold: float,
    workers: int,
    progress: Callable[[int, int], None],
) -> Poses:
    """The poses of all faces of `listing`, some at a time; `DataError` for an unreadable image."""
    count = len(listing.ids)
    nowhere = np.zeros(count, bool)
    faces = StoredFaces(listing.store, np.arange(count), nowhere, estimator.frame, workers)
    found = []
    for portion in portions(count):
        found.append(estimator.posteriors(faces[torch.arange(portion.start, portion.stop)]))
        progress(portion.stop, count)
    return Poses(listing.ids, torch.cat(found), threshold)


@attrs.frozen
class Agreement:
    """How labels agree with known yaws: faces known, labelled among these, and right of those."""

    known: int
    labelled: int
    right: int
    best: int  # right if every face took its likeliest group

    def lines(self) -> Iterator[str]:
        """In words."""
        yield f"likeliest group right: {self.best / self.known:.4f} of {self.known:,} known yaws"
        if self.labelled:
            share = self.labelled / self.known
            yield f"label right: {self.right / self.labelled:.4f} of the {share:.4f} with a label"


def agreement(poses: Poses, table: Path) -> Agreement:
    """How `poses` agree with the column `yaw`, in degrees, of a table of the same faces."""
    rows = read_table(table)
    if not rows or "yaw" not in rows[0].labels:
        raise DataError(f"{table}: has no column 'yaw' to compare with")
    truth: dict[str, int] = {}
    for row in rows:
        cell = row.labels["yaw"]
        if cell is not None:
            try:
                truth[row.file] = group_of(float(cell))
            except ValueError as cause:
                raise DataError(f"{row.place}: yaw: expected degrees, found {cell!r}") from cause
    known = [place for place, name in enumerate(poses.ids) if name in truth]
    if not known:
        raise DataError(f"{table}: tells the yaw of none of the faces")
    right = poses.best[known] == torch.tensor([truth[poses.ids[place]] for place in known])
    sure = poses.sure[known]
    return Agreement(len(known), int(sure.sum()), int((right & sure).sum()), int(right.sum()))


def check_threshold(value: float) -> None:
    """`DataError` for what no posterior can reach; at 0, every face gets a label."""
    if not math.isfinite(value) or not 0 <= value <= 1:
        raise DataError(f"--threshold: expected a number from 0 to 1, found {value}")
