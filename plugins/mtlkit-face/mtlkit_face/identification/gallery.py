"""Who is compared with whom: one gallery image of each subject, all others are probes."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.data import Categorical, Split
from mtlkit.plugins import DataError
from mtlkit.routers import class_name

NEUTRAL_LIGHT = "neutral_light"
"""The label by which data with many lights says, yes or no, which ones its gallery is under."""


@attrs.frozen(eq=False, kw_only=True)
class GalleryTrial:
    """Gallery images (S,) and probes (P,) as positions in a split.

    `owners` (P,) is the place in the gallery of each probe's own subject, `subjects` (S,) their
    names in the gallery's order.
    """

    gallery: Tensor
    probes: Tensor
    owners: Tensor
    subjects: tuple[str, ...]


def arrange(split: Split, subject: str, rule: Mapping[str, str | int]) -> GalleryTrial:
    """The trial of `split`: a subject's first image with the labels of `rule` is its gallery image.

    Raises `DataError` for a subject without one, for a label value that the data does not have,
    for a gallery under another light than the neutral one that the data names, and where nothing is
    left to compare. Images without a subject take no part.
    """
    column = split.categorical(subject)
    wanted = ", ".join(f"{label} {class_name(value)}" for label, value in rule.items())
    fits = column.codes >= 0
    for label, value in rule.items():
        fits &= labelled(split.categorical(label), label, class_name(value))
    codes = column.codes.tolist()
    first: dict[int, int] = {}
    for position in fits.nonzero().squeeze(1).tolist():
        first.setdefault(codes[position], position)
    present = sorted({code for code in codes if code >= 0})
    without = [column.names[code] for code in present if code not in first]
    if without:
        raise DataError(
            f"identification: {len(without)} of {len(present)} subjects have no gallery image "
            f"({wanted or 'any image'}), {without[0]!r} for one; change the option `gallery`"
        )
    gallery = torch.tensor([first[code] for code in present], dtype=torch.int64)
    if NEUTRAL_LIGHT in split.columns and NEUTRAL_LIGHT not in rule:
        _refuse_other_lights(split, gallery, wanted)
    probes = torch.tensor(
        [i for i, code in enumerate(codes) if code >= 0 and first[code] != i], dtype=torch.int64
    )
    if len(gallery) < 2 or len(probes) == 0:
        raise DataError(
            f"identification: expected two subjects or more and a probe, found {len(gallery)} "
            f"subjects and {len(probes)} probes"
        )
    place = {code: number for number, code in enumerate(present)}
    owners = torch.tensor([place[codes[i]] for i in probes.tolist()])
    names = tuple(column.names[code] for code in present)
    return GalleryTrial(gallery=gallery, probes=probes, owners=owners, subjects=names)


def _refuse_other_lights(split: Split, gallery: Tensor, wanted: str) -> None:
    """`DataError` where a rule that is silent about the neutral light finds images under others."""
    column = split.categorical(NEUTRAL_LIGHT)
    if "no" not in column.names:
        return
    other = gallery[column.codes[gallery] == column.names.index("no")].tolist()
    if other:
        raise DataError(
            f"identification: the gallery images of {len(other)} of {len(gallery)} subjects "
            f"({wanted or 'any image'}) are not under the data's neutral light, "
            f"{split.ids[other[0]]!r} for one; ask for `{NEUTRAL_LIGHT}: yes` in the option "
            f"`gallery`, or for `{NEUTRAL_LIGHT}: no` where another light is meant"
        )


def labelled(column: Categorical, label: str, value: str) -> Tensor:
    """Which samples (N,) have the class `value`; `DataError` where the label has no such class."""
    if value not in column.names:
        raise DataError(
            f"identification: the label {label!r} has no value {value!r}; "
            f"it has: {', '.join(column.names)}"
        )
    return column.codes == column.names.index(value)
