"""The splits of listed faces: their images, subjects and labels, and their mirror images."""

from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import torch

from mtlkit.data import Categorical, Split, StoredImages
from mtlkit_face.data.face_ids import FaceIds
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.side_labels import SideLabels
from mtlkit_face.data.split_positions import Positions, SplitPositions
from mtlkit_face.data.stored_faces import StoredFaces


@attrs.frozen(eq=False)
class LabeledFaces:
    """Images and labels of all listed faces.

    `swap` and `negate` are the rules of the labels of mirrored images.
    """

    listing: FaceListing
    labels: SideLabels
    images: StoredImages
    splits: SplitPositions
    swap: Mapping[str, tuple[str, str]]
    negate: Sequence[str]

    def split(self, positions: Positions, *, mirror: bool) -> Split:
        """Return the faces at `positions`, followed by their mirror images if `mirror`."""
        flipped = np.zeros(len(positions), bool)
        if mirror:
            flipped = np.concatenate([flipped, ~flipped])
            positions = np.concatenate([positions, positions])
        listing = self.listing
        names = self.splits.names
        if positions is self.splits.test:
            names += self.splits.unseen
        code_of = {name: code for code, name in enumerate(names)}
        table = torch.tensor([code_of.get(name, -1) for name in listing.names])
        subject = Categorical(table[listing.codes[positions]], names)
        return Split(
            inputs=StoredFaces.at(self.images, positions, flipped),
            columns={
                "subject": subject,
                **self.labels.columns(positions, flipped, self.swap, self.negate),
            },
            ids=FaceIds(listing.ids, positions, flipped),
        )
