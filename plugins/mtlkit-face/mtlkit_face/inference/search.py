"""Who of a gallery an image shows: the best people by their best template."""

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
    """A gallery of templates (S, K) that is searched for the best of each probe (P, K)."""

    @abstractmethod
    def __init__(self, gallery: Tensor) -> None:
        """Prepare the search of `gallery` (S, K)."""

    @abstractmethod
    def best(self, probes: Tensor, most: int) -> Best:
        """The `most` templates with the highest dot products, best first, 1 <= most <= S."""


@final
class ExactIndex(Index):
    """All scores in one matrix product, a tile of the gallery at a time."""

    def __init__(self, gallery: Tensor) -> None:
        self._gallery = gallery

    def best(self, probes: Tensor, most: int) -> Best:
        return best_matches(probes, self._gallery, most)


@final
class FaissIndex(Index):
    """FAISS's flat index of inner products: exact as well, and made for millions of templates.

    Raises `MissingExtraError` where FAISS is not installed.
    """

    def __init__(self, gallery: Tensor) -> None:
        try:
            import faiss
        except ImportError as cause:
            raise MissingExtraError(
                "the index 'faiss' needs FAISS, which is not installed; run "
                "`pip install 'mtlkit-face[faiss]'`, or take the index 'exact'"
            ) from cause
        self._index = faiss.IndexFlatIP(gallery.shape[1])
        self._index.add(gallery.contiguous().numpy())

    def best(self, probes: Tensor, most: int) -> Best:
        scores, places = self._index.search(probes.contiguous().numpy(), most)
        return Best(torch.from_numpy(scores), torch.from_numpy(places))


INDEXES: Mapping[str, Callable[[Tensor], Index]] = {"exact": ExactIndex, "faiss": FaissIndex}
"""The ways to search, by the name that a command knows them by."""


@attrs.frozen(kw_only=True)
class Candidate:
    """Somebody of the gallery, with the score of his best template and the file it is of."""

    name: str
    score: float
    file: str


@attrs.frozen(kw_only=True)
class Answer:
    """The candidates for one image, best first; `known` where the first reaches the threshold."""

    candidates: tuple[Candidate, ...]
    known: bool

    @property
    def name(self) -> str | None:
        """Who it is; None for somebody unknown."""
        return self.candidates[0].name if self.known else None


def identify(
    probes: Tensor,
    gallery: TemplateGallery,
    *,
    threshold: float,
    top: int = 5,
    index: Callable[[Tensor], Index] = ExactIndex,
) -> tuple[Answer, ...]:
    """The best `top` people of `gallery` for each probe (P, K); fewer where there are fewer.

    A person scores what the best of his templates does. With at most m templates each, the best
    (top - 1) m + 1 templates show the best `top` people, so that the search is exact. Raises
    `DataError` for a gallery that is empty, or has templates without a name.
    """
    if top < 1:
        raise DataError(f"top: expected 1 or more, found {top}")
    if len(gallery) == 0:
        raise DataError("the gallery is empty; enroll somebody first")
    gallery.named("the gallery")
    most = min(len(gallery), (top - 1) * max(gallery.people().values()) + 1)
    found = index(gallery.templates).best(probes, most)
    return tuple(
        _answer(gallery, scores, places, top, threshold)
        for scores, places in zip(found.scores.tolist(), found.places.tolist(), strict=True)
    )


def _answer(
    gallery: TemplateGallery,
    scores: Sequence[float],
    places: Sequence[int],
    top: int,
    threshold: float,
) -> Answer:
    best: dict[str, Candidate] = {}
    for score, place in zip(scores, places, strict=True):
        name = gallery.names[place]
        if name not in best and len(best) < top:
            best[name] = Candidate(name=name, score=score, file=gallery.files[place])
    candidates = tuple(best.values())
    return Answer(candidates=candidates, known=candidates[0].score >= threshold)
