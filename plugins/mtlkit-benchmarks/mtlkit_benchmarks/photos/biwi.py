"""BIWI Kinect Head Pose: the pose of heads in 24 sequences.

Paper: Gabriele Fanelli, Matthias Dantone, Juergen Gall, Andrea Fossati and Luc Van Gool, "Random
Forests for Real Time 3D Face Analysis", International Journal of Computer Vision 101, 2013.
"""

from pathlib import Path

import attrs
import torch
from torch import Tensor

from mtlkit.data import Data, Frame, Labels, Loading, Split
from mtlkit.plugins import DataError, at_least
from mtlkit_benchmarks.photos.head_pose import POSE
from mtlkit_benchmarks.trees.files import existing, image_rows, read_lines
from mtlkit_benchmarks.trees.layout import Layout, TreePart
from mtlkit_benchmarks.trees.source import WithoutValidation

IMAGES = 15_678
"""Frames of the data set; some papers have 15,667, after a face detector."""


@attrs.frozen(kw_only=True)
class BIWI(WithoutValidation):
    """Frames with the label `pose`: pitch, yaw and roll in degrees.

    `folder` has ``NN/frame_NNNNN_rgb.png`` with ``frame_NNNNN_pose.txt``, a rotation and a
    translation. The sequences `test_sequences` are for testing, by default the last 8 of 24, as in
    protocols with 16 sequences for training, which do not agree on the sequences. Frames are not
    cropped; they are resized to `size` pixels a side.
    """

    folder: Path = Path("biwi")
    size: int = attrs.field(default=64, validator=at_least(1))
    test_sequences: tuple[str, ...] = tuple(str(number) for number in range(17, 25))

    def layout(self) -> Layout:
        parts = (
            TreePart("[0-9][0-9]/*_rgb.png", count=IMAGES),
            TreePart("[0-9][0-9]/*_pose.txt", count=IMAGES),
        )
        page = "the page Biwi Kinect Head Pose Database of ETH Zurich, or Kaggle"
        return Layout("BIWI Kinect Head Pose", page, parts)

    def read_tree(self, folder: Path, loading: Loading) -> Data:
        every = sorted(folder.glob("[0-9][0-9]/*_rgb.png"))
        test = [path for path in every if path.parent.name in self.test_sequences]
        train = [path for path in every if path not in set(test)]
        if not train or not test:
            raise DataError(
                f"{folder}: got {len(train)} frames for training and {len(test)} for testing; "
                f"correct `test_sequences`"
            )
        return Data(train=self._split(train, loading), test=self._split(test, loading))

    def _split(self, paths: list[Path], loading: Loading) -> Split:
        poses = existing(
            [path.with_name(path.name.replace("_rgb.png", "_pose.txt")) for path in paths]
        )
        labels = torch.stack([read_rotation(path) for path in poses])
        images = image_rows(paths, Frame(self.size, self.size, 3), loading)
        ids = [f"{path.parent.name}/{path.stem}" for path in paths]
        return Split(inputs=images, columns={"pose": Labels(POSE, labels)}, ids=ids)


def read_rotation(path: Path) -> Tensor:
    """Return pitch, yaw and roll (3,) in degrees of the rotation in the first three lines."""
    try:
        rows = [[float(cell) for cell in line.split()] for line in read_lines(path) if line.strip()]
        r = torch.tensor(rows[:3], dtype=torch.float64)
    except ValueError as cause:
        raise DataError(f"{path}: {cause}; expected a rotation of 3 x 3 numbers") from cause
    if r.shape != (3, 3) or not torch.allclose(r @ r.T, torch.eye(3, dtype=r.dtype), atol=1e-2):
        raise DataError(f"{path}: got {rows[:3]}, expected a rotation of 3 x 3 numbers")
    roll = torch.atan2(r[1, 0], r[0, 0])
    yaw = torch.atan2(-r[2, 0], torch.hypot(r[2, 1], r[2, 2]))
    pitch = -torch.atan2(r[2, 1], r[2, 2])
    return torch.rad2deg(torch.stack([pitch, yaw, roll])).float()
