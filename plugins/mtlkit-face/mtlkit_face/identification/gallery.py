"""Gallery and probes of a split: one gallery image per subject, all other images are probes."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.data import Categorical, Split
from mtlkit.plugins import DataError
from mtlkit.routers import class_name

NEUTRAL_LIGHT = "neutral_light"
"""Label with the classes yes and no: whether an image has the light of the data's gallery."""


@attrs.frozen(eq=False, kw_only=True)
class GalleryTrial:
    """Gallery images (S,) and probes (P,) as positions in a split.

    `mates` (P,) is the index into the gallery of each probe's subject; `subjects` (S,) are the
    names of the subjects in gallery order.
    """

    gallery: Tensor
    probes: Tensor
    mates: Tensor
    subjects: tuple[str, ...]


def arrange(split: Split, subject: str, rule: Mapping[str, str | int]) -> GalleryTrial:
    """Return the trial of `split`; the gallery holds each subject's first image that fits `rule`.

    Images without a subject are ignored. Raises `DataError` if a subject has no gallery image, if
    the data lacks a label value of `rule`, if a gallery image is not under the data's neutral
    light, or if fewer than two subjects or no probes remain.
    """
    column = split.categorical(subject)
    rule_text = ", ".join(f"{label} {class_name(value)}" for label, value in rule.items())
    fits = column.codes >= 0
    for label, value in rule.items():
        fits &= has_class(split.categorical(label), label, class_name(value))
    codes = column.codes.tolist()
    first: dict[int, int] = {}
    for position in fits.nonzero().squeeze(1).tolist():
        first.setdefault(codes[position], position)
    present = sorted({code for code in codes if code >= 0})
    without = [column.names[code] for code in present if code not in first]
    if without:
        raise DataError(
            f"identification: {len(without)} of {len(present)} subjects have no gallery image "
            f"({rule_text or 'any image'}), such as {without[0]!r}; change the option `gallery`"
        )
    gallery = torch.tensor([first[code] for code in present], dtype=torch.int64)
    if NEUTRAL_LIGHT in split.columns and NEUTRAL_LIGHT not in rule:
        _require_neutral_light(split, gallery, rule_text)
    probes = torch.tensor(
        [i for i, code in enumerate(codes) if code >= 0 and first[code] != i], dtype=torch.int64
    )
    if len(gallery) < 2 or len(probes) == 0:
        raise DataError(
            f"identification: got {len(gallery)} subjects and {len(probes)} probes, expected two "
            f"subjects or more and a probe"
        )
    position = {code: number for number, code in enumerate(present)}
    mates = torch.tensor([position[codes[i]] for i in probes.tolist()])
    names = tuple(column.names[code] for code in present)
    return GalleryTrial(gallery=gallery, probes=probes, mates=mates, subjects=names)


def _require_neutral_light(split: Split, gallery: Tensor, rule_text: str) -> None:
    column = split.categorical(NEUTRAL_LIGHT)
    if "no" not in column.names:
        return
    other = gallery[column.codes[gallery] == column.names.index("no")].tolist()
    if other:
        raise DataError(
            f"identification: the gallery images of {len(other)} of {len(gallery)} subjects "
            f"({rule_text or 'any image'}) are not under the data's neutral light, such as "
            f"{split.ids[other[0]]!r}; add `{NEUTRAL_LIGHT}: yes` to the option `gallery`, or "
            f"`{NEUTRAL_LIGHT}: no` to use another light"
        )


def has_class(column: Categorical, label: str, value: str) -> Tensor:
    """Return a mask (N,) of the samples of class `value`; raises `DataError` if there is none."""
    if value not in column.names:
        raise DataError(
            f"identification: the label {label!r} has no value {value!r}; "
            f"it has: {', '.join(column.names)}"
        )
    return column.codes == column.names.index(value)
