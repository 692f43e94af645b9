"""Identify images against a gallery: people ranked by the score of their best template."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import final

import attrs
import torch
from torch import Tensor

from mtlkit.ops import Best, best_matches
from mtlkit.plugins import DataError, MissingExtraError
from mtlkit_face.inference.gallery_file import TemplateGallery


class Index(ABC):
    """Search index over a gallery of templates (S, K)."""

    @abstractmethod
    def __init__(self, gallery: Tensor) -> None:
        """Build the index of `gallery` (S, K)."""

    @abstractmethod
    def best(self, probes: Tensor, most: int) -> Best:
        """Return the `most` templates of largest dot product with each of `probes` (P, K).

        They are sorted, the best first; 1 <= most <= S.
        """


@final
class ExactIndex(Index):
    """Exhaustive search by a matrix product, one tile of the gallery at a time."""

    def __init__(self, gallery: Tensor) -> None:
        self._gallery = gallery

    def best(self, probes: Tensor, most: int) -> Best:
        return best_matches(probes, self._gallery, most)


@final
class FaissIndex(Index):
    """FAISS's flat inner-product index: exact, and suited to millions of templates.

    Raises `MissingExtraError` if FAISS is not installed.
    """

    def __init__(self, gallery: Tensor) -> None:
        try:
            import faiss
        except ImportError as cause:
            raise MissingExtraError(
                "the index 'faiss' needs FAISS, which is not installed; run "
                "`pip install 'mtlkit-face[faiss]'`, or use the index 'exact'"
            ) from cause
        self._index = faiss.IndexFlatIP(gallery.shape[1])
        self._index.add(gallery.contiguous().numpy())

    def best(self, probes: Tensor, most: int) -> Best:
        scores, indices = self._index.search(probes.contiguous().numpy(), most)
        return Best(torch.from_numpy(scores), torch.from_numpy(indices))


INDEXES: Mapping[str, Callable[[Tensor], Index]] = {"exact": ExactIndex, "faiss": FaissIndex}
"""Search indexes by the name of the command-line option."""


@attrs.frozen(kw_only=True)
class SearchCandidate:
    """Person of the gallery, with the score and the file of the person's best template."""

    name: str
    score: float
    file: str


@attrs.frozen(kw_only=True)
class Answer:
    """Candidates for one image, best first; `known` if the first one reaches the threshold."""

    candidates: tuple[SearchCandidate, ...]
    known: bool

    @property
    def name(self) -> str | None:
        """Name of the identified person, None if unknown."""
        return self.candidates[0].name if self.known else None


def identify(
    probes: Tensor,
    gallery: TemplateGallery,
    *,
    threshold: float,
    top: int = 5,
    index: Callable[[Tensor], Index] = ExactIndex,
) -> tuple[Answer, ...]:
    """Return the best `top` people of `gallery` (or all, if fewer) for each of `probes` (P, K).

    The score of a person is that of the person's best template. If people have at most m templates,
    the best (top - 1) m + 1 templates contain the best `top` people, so the search is exact. Raises
    `DataError` if the gallery is empty or has templates without a name.
    """
    if top < 1:
        raise DataError(f"top: got {top}, expected 1 or more")
    if len(gallery) == 0:
        raise DataError("the gallery is empty; enroll a person first")
    gallery.require_names("the gallery")
    most = min(len(gallery), (top - 1) * max(gallery.people().values()) + 1)
    best = index(gallery.templates).best(probes, most)
    return tuple(
        _answer(gallery, scores, indices, top, threshold)
        for scores, indices in zip(best.scores.tolist(), best.places.tolist(), strict=True)
    )


def _answer(
    gallery: TemplateGallery,
    scores: Sequence[float],
    indices: Sequence[int],
    top: int,
    threshold: float,
) -> Answer:
    best: dict[str, SearchCandidate] = {}
    for score, index in zip(scores, indices, strict=True):
        name = gallery.names[index]
        if name not in best and len(best) < top:
            best[name] = SearchCandidate(name=name, score=score, file=gallery.files[index])
    candidates = tuple(best.values())
    return Answer(candidates=candidates, known=candidates[0].score >= threshold)
