"""Detect impostor scores that reach a threshold more often than where it was measured."""

import torch
from torch import Tensor

from mtlkit_face.inference.gallery_file import TemplateGallery
from mtlkit_face.inference.search import Answer
from mtlkit_face.inference.threshold import Threshold

FACTOR = 3.0
"""Ratio of false match rates above which a warning is due."""

LEAST_ACCEPTED = 5
MOST = 2048
"""Maximum numbers of probes and of gallery templates compared."""


def shift_warning(
    probes: Tensor, answers: tuple[Answer, ...], gallery: TemplateGallery, threshold: Threshold
) -> str | None:
    """Return a warning if people other than the best candidate reach `threshold` too often.

    Almost all scores of `probes` (P, K) with people other than their best candidates are impostor
    scores, so the part of them that reaches the threshold estimates the false match rate on these
    images. Returns None if it is at most `FACTOR` times the rate of the threshold, or if the
    threshold has no rate.
    """
    rows = torch.linspace(0, len(gallery) - 1, min(MOST, len(gallery))).long()
    names = [gallery.names[row] for row in rows.tolist()]
    scores = probes[:MOST] @ gallery.templates[rows].T
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    person = torch.tensor([codes[name] for name in names])
    best = torch.tensor([codes.get(a.candidates[0].name, -1) for a in answers[:MOST]])
    impostor = scores[person.unsqueeze(0) != best.unsqueeze(1)]
    accepted = int((impostor >= threshold.value).sum())
    if accepted < LEAST_ACCEPTED or not accepted > FACTOR * threshold.fmr * len(impostor):
        return None
    return (
        f"{accepted / len(impostor):.1%} of {len(impostor):,} comparisons with people other than "
        f"the best candidate reach the threshold, against {threshold.fmr:.1%} where it was "
        f"measured; its error rates do not hold here: measure one on your own pairs with `mtlkit "
        f"face calibrate`"
    )
