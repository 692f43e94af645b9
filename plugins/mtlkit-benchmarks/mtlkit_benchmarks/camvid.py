"""CamVid: classes and edges of street scenes, and which classes a scene has.

Paper: Gabriel J. Brostow, Julien Fauqueur and Roberto Cipolla, "Semantic Object Classes in Video: A
High-Definition Ground Truth Database", Pattern Recognition Letters 30(2), 2009, with the 11 classes
and the split of SegNet (Badrinarayanan et al., 2017). Edges are those of Kevis-Kokitsi Maninis,
Ilija Radosavovic and Iasonas Kokkinos, "Attentive Single-Tasking of Multiple Tasks", CVPR 2019.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import (
    ClassMapTarget,
    Data,
    DataSource,
    Images,
    LabelMaps,
    Labels,
    Loading,
    MultiLabelTarget,
    Split,
    Target,
    VectorTarget,
    chunks,
)
from mtlkit.plugins import MISSING
from mtlkit_benchmarks.thinning import thinned

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""Names of the codes 0 to 10; 11 is a pixel without a class."""

VOID = 11
_LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]


@attrs.frozen(kw_only=True)
class CamVid(DataSource):
    """Street scenes with the labels `classes`, `edges`, `presence` and `shares`.

    `folder` has the images ``train/NAME.jpg`` or ``.png`` with ``trainannot/NAME.png``, and the
    same for `val` and `test`. All are resized to `size`, the height and width. `classes` and
    `edges` are those of each pixel; an edge is where the Laplacian of the codes is not 0, thinned.
    `presence` (11) are the classes that an image has, and `shares` (11) their fractions of the
    pixels with a class.
    """

    folder: Path = Path("camvid")
    size: tuple[int, int] = (120, 160)

    @property
    def label_targets(self) -> Mapping[str, type[Target]]:
        return {
            "classes": ClassMapTarget,
            "edges": ClassMapTarget,
            "presence": MultiLabelTarget,
            "shares": VectorTarget,
        }

    def load(self, loading: Loading) -> Data:
        data = self._images().load(loading)
        return attrs.evolve(
            data,
            train=_with_derived(data.train),
            validation=data.validation and _with_derived(data.validation),
            test=data.test and _with_derived(data.test),
        )

    def read(self, rows: object, preprocessing: Mapping[str, Any], loading: Loading) -> Split:
        return self._images().read(rows, preprocessing, loading)

    def _images(self) -> Images:
        maps = LabelMaps(files="{parent}annot/{stem}.png", classes=CLASSES, void=(VOID,))
        return Images(
            folder=self.folder,
            pattern="{split}/*",
            ignore=("*annot/*",),
            size=self.size,
            maps={"classes": maps},
        )


def _with_derived(split: Split) -> Split:
    """Return the split with the labels that follow from `classes`, all in memory."""
    classes = torch.cat(list(chunks(split.columns["classes"].rows)))
    shares = shares_of(classes)
    columns = {
        "classes": Labels(ClassMapTarget(names=CLASSES), classes),
        "edges": Labels(ClassMapTarget(names=("inside", "edge")), edges_of(classes)),
        "presence": Labels(MultiLabelTarget(names=CLASSES), (shares > 0).long()),
        "shares": Labels(VectorTarget(names=CLASSES), shares),
    }
    return attrs.evolve(split, columns=columns)


def edges_of(classes: Tensor) -> Tensor:
    """Return 1 for an edge between codes (N, H, W), otherwise 0; -1 for a pixel without a class.

    >>> edges_of(torch.tensor([[[0, 0, 0, 3, 3, 3]] * 3]))[0, 1].tolist()
    [0, 0, 1, 0, 0, 0]
    """
    padded = F.pad(classes[:, None].float(), (1, 1, 1, 1), mode="replicate")
    edges = thinned(F.conv2d(padded, _LAPLACIAN)[:, 0] != 0)
    return torch.where(classes == MISSING, MISSING, edges.long())


def shares_of(classes: Tensor) -> Tensor:
    """Return the fraction (N, 11) of each class in the pixels that have one; NaN without any."""
    counts = torch.stack([(classes == code).flatten(1).sum(1) for code in range(len(CLASSES))], 1)
    return counts.float() / counts.sum(dim=1, keepdim=True)
