"""Positions of the faces of each split: stated, random, or held out within subjects."""

import attrs
import numpy as np
import numpy.typing as npt

from mtlkit.data import RandomSplit, Row, split_indices
from mtlkit_face.data.holdout import holdout_mask
from mtlkit_face.data.listing import FaceListing
from mtlkit_face.data.side_labels import SideLabels

Positions = npt.NDArray[np.integer]


@attrs.frozen(eq=False)
class SplitPositions:
    """Positions of the images of each split, and the names of the subjects.

    `names` are those in training, `tested` those in the test split, and `unseen` those only there.
    """

    train: Positions
    validation: Positions
    test: Positions
    names: tuple[str, ...]
    tested: tuple[str, ...]
    unseen: tuple[str, ...]

    @classmethod
    def of(
        cls,
        listing: FaceListing,
        labels: SideLabels,
        kept: Positions,
        split: RandomSplit | None,
        validation: float,
        seed: int,
    ) -> "SplitPositions":
        """Split the faces at `kept`: by `split` or the labels' column, or else within subjects.

        Then `validation` is the fraction of each subject's images that is held out, by `seed`.
        """
        if split is not None or labels.splits is not None:
            parts = _stated_splits(split, listing, labels, kept)
        else:
            codes = np.unique(listing.codes[kept], return_inverse=True)[1]
            held_out = holdout_mask(codes, validation, seed)
            parts = {"train": kept[~held_out], "validation": kept[held_out]}
        none = kept[:0]
        trained, validated, held = (
            parts.get(name, none).astype(np.int32)  # half the memory
            for name in ("train", "validation", "test")
        )
        known = np.concatenate([trained, validated])
        names, tested = (
            tuple(listing.names[code] for code in np.unique(listing.codes[positions]))
            for positions in (known, held)
        )
        unseen = tuple(name for name in tested if name not in set(names))
        return cls(trained, validated, held, names, tested, unseen)


def _stated_splits(
    split: RandomSplit | None, listing: FaceListing, labels: SideLabels, kept: Positions
) -> dict[str, Positions]:
    """Return the positions of each split by the option `split`, or the labels' column."""
    rows = []
    for position in kept.tolist():
        name = listing.ids[position]
        row: dict[str, str | None] = {"subject": listing.names[listing.codes[position]]}
        if labels.splits is not None:
            row["split"] = labels.splits[position]
        rows.append(Row(name, row, name))
    indices = split_indices(split, rows)
    return {name: kept[np.asarray(chosen, np.int64)] for name, chosen in indices.items()}
