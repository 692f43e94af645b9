"""How ways of routing stand wrong estimates of the pose (Yin & Liu, TIP 2018, section III.C)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import Data, Split
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.plugins import LossTerm, Problem, at_least, one_of
from mtlkit.report import Chart, Section, Series, Text
from mtlkit_face.identification.evaluator import Identification, frontal_and_neutral
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import match_templates
from mtlkit_face.identification.template import template

EXPECTED, BEST = "expected", "best"


def _shares(_: object, field: "attrs.Attribute[Any]", value: tuple[float, ...]) -> None:
    good = len(value) > 0 and all(0 <= share <= 1 for share in value)
    if not good or len(set(value)) != len(value):
        raise ValueError(f"{field.name}: expected different numbers from 0 to 1, found {value!r}")


@attrs.frozen(kw_only=True)
class PoseErrors(Evaluator):
    """Rank-1 by best and by expected routing where a share of the pose estimates is wrong.

    That share of the images, drawn by `seed`, gets the estimate of an image of another group, as
    confident as estimates are. The paper says that expected (stochastic) routing stands errors
    better than the best group alone. `task`, whose branches are routed, `subject`, `split` and
    `gallery` are as in `Identification`. The metrics are named
    ``face/pose-errors/<share>/<way>/rank1``.

    >>> PoseErrors(shares=(0.0, 0.5)).prefix
    'face/pose-errors'
    """

    shares: tuple[float, ...] = attrs.field(default=(0.0, 0.1, 0.2, 0.4), validator=_shares)
    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    seed: int = attrs.field(default=0, validator=at_least(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        found = list(self.protocol().problems(terms))
        yield from found
        if not found and all(term.task != self.task or term.name == self.task for term in terms):
            yield Problem(
                ("task",),
                f"{self.task!r} has no branches that a pose could choose; use `router: grouped`",
            )

    def check(self, data: Data) -> None:
        self.protocol().check(data)

    @property
    def prefix(self) -> str:
        return f"{self.protocol().prefix}/pose-errors"

    def protocol(self) -> Identification:
        """Who is compared with whom."""
        return Identification(
            task=self.task, subject=self.subject, split=self.split, gallery=self.gallery
        )

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        split, trial = self.protocol().arrange(trained.data)
        said = trained.predict(split)
        branches = said.branches[self.task]
        found: dict[str, list[float]] = {EXPECTED: [], BEST: []}
        for share in self.shares:
            probability = corrupted(branches.probability, share, self.seed)
            best = F.one_hot(probability.argmax(dim=1), len(branches.groups)).to(probability)
            for way, weights in ((EXPECTED, probability), (BEST, best)):
                routed = attrs.evolve(branches, weights=weights)
                templates = template(said.outputs[self.task], routed)
                found[way].append(match_templates(templates, trial).rank1())
        metrics = {
            f"{self.prefix}/{share:g}/{way}/rank1": value
            for way, values in found.items()
            for share, value in zip(self.shares, values, strict=True)
        }
        return EvaluationResult(metrics=metrics, sections=(self._section(found, split, trial),))

    def _section(
        self, found: Mapping[str, Sequence[float]], split: Split, trial: GalleryTrial
    ) -> Section:
        chart = Chart(
            title="Rank-1 under wrong pose estimates",
            kind="line",
            x_label="share of images with a pose estimate of another group",
            y_label="rank-1",
            series={way: Series(x=self.shares, y=tuple(values)) for way, values in found.items()},
            comparable=True,
        )
        text = (
            f"{len(trial.probes):,} probes of {len(trial.subjects)} subjects of the "
            f"{self.split} split ({len(split):,} images). Expected routing weighs "
            f"every branch by the probability of its group (eq. 12), best routing takes the branch "
            f"of the most probable group."
        )
        return Section(title="Wrong pose estimates", blocks=(Text(text=text), chart))


def corrupted(probability: Tensor, share: float, seed: int) -> Tensor:
    """Group probabilities (N, G) of which a `share` is that of an image of another group.

    The group is the likeliest one: each of the share becomes as wrong as it was right, with the
    confidence that estimates have. Where all images are of one group nothing can be wrong.

    >>> corrupted(torch.eye(3), 1.0, seed=0).diagonal().tolist()
    [0.0, 0.0, 0.0]
    """
    random = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(len(probability), generator=random)[: round(share * len(probability))]
    best = probability.argmax(dim=1)
    changed = probability.clone()
    for group in range(probability.shape[1]):
        own = wrong[best[wrong] == group]
        others = (best != group).nonzero().squeeze(1)
        if len(others):
            donors = others[torch.randint(len(others), (len(own),), generator=random)]
            changed[own] = probability[donors]
    return changed
