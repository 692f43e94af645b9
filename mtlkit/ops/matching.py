"""Matching by templates: the scores of all pairs in one matrix product."""

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.ops.dispatch.choice import choose
from mtlkit.ops.dispatch.implementation import Cost, Implementation, Op, Request, serves_all
from mtlkit.ops.dispatch.trial import CLASSES, FEATURES, Trial, TrialInputs
from mtlkit.ops.kernels.arguments import check_devices, check_matrix, same_type, without_autocast
from mtlkit.ops.kernels.tiles import EPSILON

TEMPLATE = "match_template"
SCORES = "match_scores"

GALLERY_TILE = 4096
"""Number of gallery templates scored at a time if only the best are kept."""


def match_template(
    generic: Tensor,
    branches: Tensor,
    weights: Tensor,
    *,
    implementation: str | Implementation | None = None,
) -> Tensor:
    """Return templates (N, 2C) whose dot products are the scores of Yin & Liu (TIP 2018), eq. 12.

    Shapes: `generic` (N, C) are the logits of the generic head, `branches` (N, G, C) those of the
    branches, and `weights` (N, G) their weights, such as the probability of the group.
    The score h(y, y')/2 + sum_ij w_i w'_j h(y_i, y'_j)/2, with h the cosine, is bilinear in unit
    vectors, hence <T, T'> for T = [y/|y|, sum_i w_i y_i/|y_i|] / sqrt 2. A template is not a
    unit vector: normalizing it would change the score.

    >>> y = torch.tensor([[3.0, 4.0]])
    >>> match_template(y, torch.stack([y, y], dim=1), torch.tensor([[0.25, 0.75]]))
    tensor([[0.4243, 0.5657, 0.4243, 0.5657]])
    """
    check_matrix(TEMPLATE, "generic", generic)
    rows, classes = generic.shape
    if branches.dim() != 3 or branches.shape[0] != rows or branches.shape[2] != classes:
        raise ValueError(
            f"{TEMPLATE}: branches: expected the shape ({rows}, groups, {classes}), "
            f"got {tuple(branches.shape)}"
        )
    if weights.shape != branches.shape[:2]:
        raise ValueError(
            f"{TEMPLATE}: weights: expected the shape {tuple(branches.shape[:2])}, "
            f"got {tuple(weights.shape)}"
        )
    if not branches.is_floating_point():
        raise TypeError(
            f"{TEMPLATE}: branches: expected floating-point numbers, got {branches.dtype}"
        )
    check_devices(TEMPLATE, generic, "generic", branches=branches, weights=weights)
    request = Request(
        rows, classes, branches.shape[1], branches.dtype, branches.device.type, False, "none",
        branches.shape[1],
    )  # fmt: skip
    chosen = choose(MATCH_TEMPLATE, request, implementation)
    with without_autocast(generic):
        weighted: Tensor = chosen.run(branches, weights.to(branches.dtype))
        first = F.normalize(generic, dim=1, eps=EPSILON)
        return torch.cat([first, weighted.to(first.dtype)], dim=1) / math.sqrt(2)


class Best(NamedTuple):
    """The best gallery templates of every probe, best first: scores and places (P, k)."""

    scores: Tensor
    places: Tensor


def match_scores(probes: Tensor, gallery: Tensor) -> Tensor:
    """Return the scores (P, S) of probes (P, K) with a gallery (S, K): one matrix product.

    >>> match_scores(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8], [1.0, 0.0]]))
    tensor([[0.6000, 1.0000]])
    """
    cast_probes, cast_gallery = _checked(probes, gallery)
    with without_autocast(probes):
        return cast_probes @ cast_gallery.T


def _checked(probes: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    """Return the checked templates, cast to one type."""
    check_matrix(SCORES, "gallery", gallery)
    check_matrix(SCORES, "probes", probes, gallery.shape[1])
    check_devices(SCORES, gallery, "the gallery", probes=probes)
    cast_probes, cast_gallery = same_type(SCORES, probes, gallery)
    return cast_probes, cast_gallery


def best_matches(
    probes: Tensor,
    gallery: Tensor,
    most: int,
    *,
    implementation: str | Implementation | None = None,
) -> Best:
    """Return the `most` gallery templates (S, K) with the highest scores for every probe (P, K).

    >>> best_matches(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.6, 0.8], [1.0, 0.0]]), 1).places
    tensor([[1]])
    """
    cast_probes, cast_gallery = _checked(probes, gallery)
    if not isinstance(most, int) or isinstance(most, bool):
        raise TypeError(f"{SCORES}: most: expected an int, got {type(most).__name__}")
    if not 1 <= most <= len(gallery):
        raise ValueError(
            f"{SCORES}: most: expected 1 to {len(gallery)}, the size of the gallery, got {most}"
        )
    request = Request(
        len(probes), probes.shape[1], len(gallery), cast_probes.dtype, probes.device.type, False,
        "none",
    )  # fmt: skip
    chosen = choose(MATCH_SCORES, request, implementation)
    with without_autocast(probes):
        best: Best = chosen.run(cast_probes, cast_gallery, most)
        return best


def _unit_vectors(branches: Tensor, weights: Tensor) -> Tensor:
    """Compute sum_g w_g y_g / |y_g| (N, C) by its definition."""
    return (F.normalize(branches, dim=2, eps=EPSILON) * weights.unsqueeze(2)).sum(dim=1)


def _lengths(branches: Tensor, weights: Tensor) -> Tensor:
    """Compute the same with the norms in the weights, without unit vectors (N, G, C)."""
    length = torch.linalg.vector_norm(branches, dim=2).clamp_min(EPSILON)
    return torch.bmm((weights / length).unsqueeze(1), branches).squeeze(1)


def _whole(probes: Tensor, gallery: Tensor, most: int) -> Best:
    """Compute the whole matrix of scores."""
    scores, places = (probes @ gallery.T).topk(most, dim=1)
    return Best(scores, places)


def _tiled(probes: Tensor, gallery: Tensor, most: int) -> Best:
    """Compute a tile of the gallery at a time, and merge its best with the best so far."""
    scores = probes.new_empty(len(probes), 0)
    places = torch.empty(len(probes), 0, dtype=torch.int64, device=probes.device)
    for start in range(0, len(gallery), GALLERY_TILE):
        tile = probes @ gallery[start : start + GALLERY_TILE].T
        tile_scores, place = tile.topk(min(most, tile.shape[1]), dim=1)
        scores, places = (
            torch.cat([scores, tile_scores], dim=1),
            torch.cat([places, place + start], dim=1),
        )
        scores, kept = scores.topk(min(most, scores.shape[1]), dim=1)
        places = places.gather(1, kept)
    return Best(scores, places)


def _template_cost(passes: float, request: Request) -> Cost:
    numbers = request.rows * request.parts * request.features * request.size
    return Cost(flops=0, moved=passes * numbers, calls=8, peak=(passes - 2) * numbers / 2)


def _scores_cost(whole: bool, request: Request) -> Cost:
    columns = request.classes if whole else min(request.classes, GALLERY_TILE)
    matrix = request.rows * columns * request.size
    return Cost(
        flops=2.0 * request.logits * request.features,
        moved=(3 if matrix > 8e6 else 1) * request.logits * request.size,
        calls=3 if whole else 8 * math.ceil(request.classes / GALLERY_TILE),
        peak=matrix,
        buffers=1,
        buffer=matrix,
    )


def _template_trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return a call with two branches, weighted."""
    draw = TrialInputs(rows, generator)
    inputs = (
        draw.normal(rows, CLASSES), draw.normal(rows, 2, CLASSES), draw.normal(rows, 2).abs(),
    )  # fmt: skip

    def call(name: str, *inputs: Tensor) -> Tensor:
        return match_template(*inputs, implementation=name)

    return {"templates": Trial(inputs, call)}


def _score_trials(rows: int, generator: torch.Generator) -> Mapping[str, Trial]:
    """Return a call for the best one and the best five; indices have no gradient."""
    draw = TrialInputs(rows, generator)
    inputs = (draw.features(), draw.normal(2 * CLASSES, FEATURES))

    def call(most: int, name: str, probes: Tensor, gallery: Tensor) -> Tensor:
        return best_matches(probes, gallery, most, implementation=name).scores

    return {f"best {most}": Trial(inputs, partial(call, most)) for most in (1, 5)}


MATCH_TEMPLATE = Op(
    TEMPLATE,
    match_template,
    Implementation(
        "eager", "the definition: unit vectors, then their weighted mean", _unit_vectors,
        serves_all, lambda request: _template_cost(6, request),
    ),
    Implementation(
        "lengths", "lengths in the weights, one small product for each row", _lengths, serves_all,
        lambda request: _template_cost(2, request),
    ),
    trials=_template_trials,
)  # fmt: skip

MATCH_SCORES = Op(
    SCORES,
    best_matches,
    Implementation(
        "eager", "the definition: all scores, then the best", _whole, serves_all,
        lambda request: _scores_cost(True, request),
    ),
    Implementation(
        "tiled", "a tile of the gallery at a time", _tiled, serves_all,
        lambda request: _scores_cost(False, request),
    ),
    trials=_score_trials,
)  # fmt: skip
