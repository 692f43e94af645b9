"""300W-LP and AFLW2000-3D: the pose of heads.

Paper: Xiangyu Zhu, Zhen Lei, Xiaoming Liu, Hailin Shi and Stan Z. Li, "Face Alignment Across Large
Poses: A 3D Solution", CVPR 2016. The crops are those of Nataniel Ruiz, Eunji Chong and James M.
Rehg, "Fine-Grained Head Pose Estimation Without Keypoints", CVPR Workshops 2018.
"""

from functools import partial
from pathlib import Path

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from mtlkit.data import FORMATS, Data, Labels, Loading, Split, VectorTarget, threads
from mtlkit.plugins import at_least
from mtlkit_benchmarks.trees.files import existing, read_mat, readable, variable
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.on_access import OnAccess
from mtlkit_benchmarks.trees.source import WithoutValidation

ANGLES = ("pitch", "yaw", "roll")
POSE = VectorTarget(names=ANGLES, unit="degree")
SAMPLES = {"train": 122_450, "test": 2_000}
LIMIT = 99.0
"""Largest angle, in degrees, of the images that the standard test keeps."""

Margins = tuple[float, float, float, float]
TRAIN_MARGINS: Margins = (0.21, 0.7, 0.21, 0.21)
TEST_MARGINS: Margins = (0.15, 0.6, 0.15, 0.06)
"""Parts of its size by which the box of the landmarks grows: left, top, right, bottom."""


@attrs.frozen(kw_only=True)
class HeadPose(WithoutValidation):
    """Faces with the label `pose`: pitch, yaw and roll in degrees.

    `folder` has the trees ``300W_LP``, for training, and ``AFLW2000``, for testing: ``X.jpg`` with
    ``X.mat``, at any depth. Images are cropped around the landmarks and resized to `size` pixels a
    side. Images for testing with an angle beyond 99 degrees are left out and counted. A mirror
    changes the signs of yaw and roll: ``{type: mirror, negate: [pose.yaw, pose.roll]}``. The extra
    ``official`` is needed.
    """

    folder: Path = Path("head-pose")
    size: int = attrs.field(default=64, validator=at_least(1))

    def layout(self) -> Layout:
        parts = [
            TreePart(f"{tree}/**/*{suffix}", count=SAMPLES[split])
            for split, tree in (("train", "300W_LP"), ("test", "AFLW2000"))
            for suffix in (".jpg", ".mat")
        ]
        page = "the page Face Alignment Across Large Poses: A 3D Solution of cbsr.ia.ac.cn"
        return Layout("300W-LP and AFLW2000-3D", page, tuple(parts))

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        train = sorted((folder / "300W_LP").rglob("*.jpg"))
        every = sorted((folder / "AFLW2000").rglob("*.jpg"))
        for paths in (train, every):
            existing([path.with_suffix(".mat") for path in paths])
        test = [path for path in every if bool((read_pose(path).abs() <= LIMIT).all())]
        return Data(
            train=self._split(folder, train, TRAIN_MARGINS, loading),
            test=self._split(folder, test, TEST_MARGINS, loading),
            summary={f"images beyond {LIMIT:g} degrees": str(len(every) - len(test))},
        )

    def _split(self, folder: Path, paths: list[Path], margins: Margins, loading: Loading) -> Split:
        crop = partial(read_face, margins=margins, size=self.size)
        poses = OnAccess(paths, read_pose, threads(loading))
        return Split(
            inputs=OnAccess(paths, crop, threads(loading)),
            columns={"pose": Labels(POSE, poses)},
            ids=[path.relative_to(folder).as_posix() for path in paths],
        )


def read_pose(path: Path) -> Tensor:
    """Return pitch, yaw and roll (3,) in degrees of the image `path`."""
    mat = path.with_suffix(".mat")
    parameters = variable(mat, read_mat(mat), "Pose_Para").reshape(-1)
    return torch.from_numpy(np.degrees(parameters[:3].astype(np.float64))).float()


def read_face(path: Path, margins: Margins, size: int) -> Tensor:
    """Return the face (3, size, size) of the image `path`, cropped around its landmarks."""
    mat = path.with_suffix(".mat")
    points = variable(mat, read_mat(mat), "pt2d").astype(np.float64)
    box = grown(points, margins)
    with readable(path), Image.open(path, formats=FORMATS) as image:
        face = image.convert("RGB").crop(box).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(face)).movedim(-1, 0).contiguous()


def grown(points: NDArray[np.float64], margins: Margins) -> tuple[int, int, int, int]:
    """Return the box of `points` (2, P), grown by `margins`: left, top, right, bottom.

    The right and bottom margins are parts of the box that the left and top ones have grown.

    >>> grown(np.array([[0.0, 100.0], [0.0, 100.0]]), (0.1, 0.5, 0.1, 0.1))
    (-10, -50, 111, 115)
    """
    (left, top), (right, bottom) = points.min(axis=1), points.max(axis=1)
    left -= margins[0] * (right - left)
    top -= margins[1] * (bottom - top)
    right += margins[2] * (right - left)
    bottom += margins[3] * (bottom - top)
    return int(left), int(top), int(right), int(bottom)
