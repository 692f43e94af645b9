"""Robustness of expected and best routing to wrong pose estimates (Yin & Liu, section III.C)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import Data, Split
from mtlkit.evaluators import (
    Chart,
    EvaluationContext,
    EvaluationResult,
    Evaluator,
    Section,
    Series,
    Text,
)
from mtlkit.plugins import LossTerm, Problem, at_least, one_of
from mtlkit_face.identification.evaluator import Identification, frontal_and_neutral
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import match_templates
from mtlkit_face.identification.template import template

EXPECTED, BEST = "expected", "best"


def _fractions(_: object, field: "attrs.Attribute[Any]", value: tuple[float, ...]) -> None:
    valid = len(value) > 0 and all(0 <= share <= 1 for share in value)
    if not valid or len(set(value)) != len(value):
        raise ValueError(f"{field.name}: got {value!r}, expected different numbers from 0 to 1")


@attrs.frozen(kw_only=True)
class PoseErrors(Evaluator):
    """Rank-1 by best and by expected routing when a fraction of the pose estimates is wrong.

    For each of the `shares`, that fraction of the images, drawn with `seed`, gets the estimate of
    an image of another group. The paper claims that expected (stochastic) routing is more robust
    than the best group alone. `task`, whose branches are routed, `subject`, `split` and `gallery`
    are as in `Identification`. Metrics are named ``face/pose-errors/<share>/<routing>/rank1``.

    >>> PoseErrors(shares=(0.0, 0.5)).prefix
    'face/pose-errors'
    """

    shares: tuple[float, ...] = attrs.field(default=(0.0, 0.1, 0.2, 0.4), validator=_fractions)
    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    seed: int = attrs.field(default=0, validator=at_least(0))

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        problems = list(self.protocol().problems(terms))
        yield from problems
        if not problems and all(t.task != self.task or t.name == self.task for t in terms):
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
        """Return the identification protocol, which chooses gallery and probes."""
        return Identification(
            task=self.task, subject=self.subject, split=self.split, gallery=self.gallery
        )

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        split, trial = self.protocol().arrange(trained.data)
        predictions = trained.predict(split)
        branches = predictions.branches[self.task]
        rank1: dict[str, list[float]] = {EXPECTED: [], BEST: []}
        for share in self.shares:
            probability = corrupted(branches.probability, share, self.seed)
            best = F.one_hot(probability.argmax(dim=1), len(branches.groups)).to(probability)
            for routing, weights in ((EXPECTED, probability), (BEST, best)):
                routed = attrs.evolve(branches, weights=weights)
                templates = template(predictions.outputs[self.task], routed)
                rank1[routing].append(match_templates(templates, trial).rank1())
        metrics = {
            f"{self.prefix}/{share:g}/{routing}/rank1": value
            for routing, values in rank1.items()
            for share, value in zip(self.shares, values, strict=True)
        }
        return EvaluationResult(metrics=metrics, sections=(self._section(rank1, split, trial),))

    def _section(
        self, rank1: Mapping[str, Sequence[float]], split: Split, trial: GalleryTrial
    ) -> Section:
        chart = Chart(
            title="Rank-1 under wrong pose estimates",
            kind="line",
            x_label="share of images with a pose estimate of another group",
            y_label="rank-1",
            series={
                routing: Series(x=self.shares, y=tuple(values)) for routing, values in rank1.items()
            },
            comparable=True,
        )
        text = (
            f"{len(trial.probes):,} probes of {len(trial.subjects)} subjects of the "
            f"{self.split} split ({len(split):,} images). Expected routing weights every branch by "
            f"the probability of its group (eq. 12); best routing takes the branch of the most "
            f"probable group."
        )
        return Section(title="Wrong pose estimates", blocks=(Text(text=text), chart))


def corrupted(probability: Tensor, share: float, seed: int) -> Tensor:
    """Replace a fraction `share` of group probabilities (N, G) by those of images of other groups.

    An image's group is its most probable one. Estimates keep realistic confidences, because they
    are copied from other images. If all images have one group, nothing is replaced.

    >>> corrupted(torch.eye(3), 1.0, seed=0).diagonal().tolist()
    [0.0, 0.0, 0.0]
    """
    random = torch.Generator().manual_seed(seed)
    wrong = torch.randperm(len(probability), generator=random)[: round(share * len(probability))]
    best = probability.argmax(dim=1)
    changed = probability.clone()
    for group in range(probability.shape[1]):
        replaced = wrong[best[wrong] == group]
        others = (best != group).nonzero().squeeze(1)
        if len(others):
            donors = others[torch.randint(len(others), (len(replaced),), generator=random)]
            changed[replaced] = probability[donors]
    return changed
