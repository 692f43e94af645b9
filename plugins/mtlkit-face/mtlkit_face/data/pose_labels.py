"""Pose labels of faces in the wild, estimated by a network trained on rendered faces.

The paper labels CASIA-WebFace with three groups of yaw, estimated by another method, with frontal
faces up to 30 degrees (section IV). Here, the posterior of a group is the sum of its classes'
posteriors; a face whose most probable group is below a threshold gets no label.
"""

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit import load_model
from mtlkit.backbones import one_input
from mtlkit.data import DecoderPool, Frame, StoredImages, read_table
from mtlkit.plugins import DataError, replaced_file, write_file
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.stored_faces import SQUARE, chunks

FRONTAL = 30.0
"""Largest absolute yaw of a frontal face, in degrees."""

GROUPS = ("left", "front", "right")
"""Faces that look to the left edge of the image (the paper's right), ahead, and to the right."""

UNSURE = ""
"""Cell of a face without a label; readers treat it as missing, like -1."""

COLUMNS = ("file", "pose", "posterior")


@attrs.frozen(eq=False)
class Estimator:
    """Trained network, the format of its inputs, and the group of each of its classes."""

    logits: Callable[[Tensor], Tensor]
    frame: Frame
    groups: Tensor  # (C, 3), 1 if the class belongs to the group

    @classmethod
    def load(cls, run: Path, task: str) -> "Estimator":
        """Load the network of a finished run, whose `task` predicts degrees of yaw.

        Raises `DataError` if the run lacks the task, or if its inputs are not square images.
        """
        model = load_model(run).network
        classes = model.assembly.classes
        shape = one_input(model.assembly.inputs, "pose labels").shape
        if task not in classes:
            raise DataError(
                f"{run}: got no classes of {task!r}, expected one of: "
                f"{', '.join(classes) or 'none'}; choose one with --task"
            )
        if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2]:
            raise DataError(f"{run}: got inputs of shape {shape}, expected square images")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device)

        def logits(images: Tensor) -> Tensor:
            output: Tensor = model(images.to(device)).outputs[task]
            return output.float().cpu()

        frame = Frame(shape[1], shape[2], shape[0], square=SQUARE)
        return cls(logits, frame, group_matrix(classes[task]))

    def posteriors(self, images: Tensor) -> Tensor:
        """Return the posterior (N, 3) of each group for images (N, C, H, W).

        It is the mean over an image and its mirror image, with left and right exchanged, so that a
        mirrored face has the mirrored label, as training with mirror images assumes.
        """
        with torch.inference_mode():
            plain, mirrored = (
                self.logits(inputs).softmax(dim=1) @ self.groups
                for inputs in (images, images.flip(-1))
            )
            return (plain + mirrored.flip(1)) / 2


def group_matrix(classes: Sequence[str]) -> Tensor:
    """Return a matrix (C, 3), 1 if the class, a yaw in degrees, belongs to the group, else 0.

    >>> group_matrix(["-90", "-30", "0", "45"]).argmax(dim=1).tolist()
    [0, 1, 1, 2]
    """
    try:
        degrees = [float(name) for name in classes]
    except ValueError as cause:
        raise DataError(f"the classes of pose are not degrees of yaw: {cause}") from cause
    matrix = torch.zeros(len(classes), len(GROUPS))
    for row, yaw in enumerate(degrees):
        matrix[row, group_of(yaw)] = 1
    return matrix


def group_of(yaw: float) -> int:
    """Return the index into `GROUPS` of the group of `yaw`."""
    return 0 if yaw < -FRONTAL else 2 if yaw > FRONTAL else 1


@attrs.frozen(eq=False)
class Poses:
    """Pose estimates of N faces: `posteriors` (N, 3) of the groups, and the threshold."""

    ids: Sequence[str]
    posteriors: Tensor
    threshold: float

    @property
    def best(self) -> Tensor:
        """Index (N,) of the most probable group."""
        return self.posteriors.argmax(dim=1)

    @property
    def sure(self) -> Tensor:
        """Mask (N,) of the faces that get a label."""
        return self.posteriors.amax(dim=1) >= self.threshold

    def labels(self) -> list[str]:
        """Return the label of each face, `UNSURE` below the threshold."""
        pairs = zip(self.best.tolist(), self.sure.tolist(), strict=True)
        return [GROUPS[best] if sure else UNSURE for best, sure in pairs]

    def counts(self) -> Mapping[str, int]:
        """Return the number of faces in each group, and of those without a label."""
        labels = self.labels()
        return {**{name: labels.count(name) for name in GROUPS}, "unsure": labels.count(UNSURE)}

    def write(self, path: Path) -> None:
        """Write the table of labels, as Parquet or CSV by the suffix of `path`."""
        posteriors = [f"{value:.4f}" for value in self.posteriors.amax(dim=1).tolist()]
        rows = list(zip(self.ids, self.labels(), posteriors, strict=True))
        if path.suffix.lower() == ".parquet":
            import pyarrow
            from pyarrow import parquet

            columns = [list(column) for column in zip(*rows, strict=True)]
            columns[1] = [label or None for label in columns[1]]
            table = pyarrow.table(dict(zip(COLUMNS, columns, strict=True)))
            with replaced_file(path) as partial:
                parquet.write_table(table, partial)
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
        write_file(path, text.getvalue().encode())


def estimate_poses(
    estimator: Estimator,
    listing: FaceListing,
    threshold: float,
    workers: int,
    progress: Callable[[int, int], None],
) -> Poses:
    """Estimate the poses of all faces of `listing`; raises `DataError` for an unreadable image."""
    count = len(listing.ids)
    pool = DecoderPool(workers)
    faces = StoredImages(listing.store, estimator.frame, pool, checked_before=False)
    posteriors = []
    for chunk in chunks(count):
        posteriors.append(estimator.posteriors(faces[torch.arange(chunk.start, chunk.stop)]))
        progress(chunk.stop, count)
    return Poses(listing.ids, torch.cat(posteriors), threshold)


@attrs.frozen
class Agreement:
    """Numbers of faces of known yaw, of labeled ones among them, and of those labeled correctly.

    `best` is the number of faces whose most probable group is correct, labeled or not.
    """

    known: int
    labeled: int
    right: int
    best: int

    def lines(self) -> Iterator[str]:
        """Yield lines of text for the terminal."""
        yield f"best group correct: {self.best / self.known:.4f} of {self.known:,} known yaws"
        if self.labeled:
            coverage = self.labeled / self.known
            yield f"label correct: {self.right / self.labeled:.4f} of the {coverage:.4f} labeled"


def agreement(poses: Poses, table: Path) -> Agreement:
    """Compare `poses` with the column `yaw`, in degrees, of a table of the same faces."""
    rows = read_table(table)
    if not rows or "yaw" not in rows[0].labels:
        raise DataError(f"{table}: got no column 'yaw', expected one to compare with")
    truth: dict[str, int] = {}
    for row in rows:
        cell = row.labels["yaw"]
        if cell is not None:
            try:
                truth[row.file] = group_of(float(cell))
            except ValueError as cause:
                raise DataError(f"{row.place}: yaw: got {cell!r}, expected degrees") from cause
    known = [index for index, name in enumerate(poses.ids) if name in truth]
    if not known:
        raise DataError(f"{table}: has the yaw of none of the faces; use the table of these faces")
    right = poses.best[known] == torch.tensor([truth[poses.ids[index]] for index in known])
    sure = poses.sure[known]
    return Agreement(len(known), int(sure.sum()), int((right & sure).sum()), int(right.sum()))


def check_threshold(value: float) -> None:
    """Raise `DataError` unless `value` is from 0 (every face gets a label) to 1."""
    if not math.isfinite(value) or not 0 <= value <= 1:
        raise DataError(f"--threshold: got {value}, expected a number from 0 to 1")
