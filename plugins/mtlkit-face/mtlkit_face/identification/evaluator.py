"""Identification of unseen subjects: one gallery image of each, all other images are probes.

The protocol of Yin & Liu (TIP 2018), section IV: rank-1 by the cosine of identity logits, for a
network with pose branches by eq. 12.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import Data, Split
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator
from mtlkit.plugins import DataError, LossTerm, Problem, TaskKind, one_of
from mtlkit.report import Section
from mtlkit.routers import BranchOutputs, GroupedRouter
from mtlkit_face.identification.failures import failure_gallery
from mtlkit_face.identification.gallery import GalleryTrial, arrange
from mtlkit_face.identification.matching import CHUNK, Matches, match, match_templates
from mtlkit_face.identification.report_blocks import (
    NETWORK,
    identification_blocks,
    rank1_by_abs_yaw,
)
from mtlkit_face.identification.subsets import Subsets, check_labels, subsets_of
from mtlkit_face.identification.template import branch_template, pixel_template, template


def frontal_and_neutral() -> dict[str, str | int]:
    """The labels of the paper's gallery images."""
    return {"yaw": 0, "expression": "neutral"}


@attrs.frozen(kw_only=True)
class Identification(Evaluator):
    """Rank-1 and CMC of a split's subjects against a gallery of one image each.

    `gallery` are the labels of a gallery image; a subject's first image that has them is taken.
    Where the data has a label `neutral_light`, an image for which it is no is refused, unless
    `gallery` names that label.

    `by` is the label to break results down by; None means yaw where the data has it. `groups` are
    classes of `by` taken together; None means the router's groups, or for yaw the paper's three.
    Rank-1 by yaw is also given without its sign, ``rank1/abs-yaw/45``, with the plain mean over
    these bins, ``rank1/yaw-mean``, in which each counts once.
    Raw pixels are matched beside the network, as a baseline without learning. The metrics are named
    ``face/...``, those of another split than test ``face/validation/...``.

    >>> Identification(gallery={"pose": "straight"}, by="pose").split
    'test'
    """

    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    by: str | None = None
    groups: Mapping[str, tuple[str | int | float, ...]] | None = None

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif known[self.task].kind is not TaskKind.CLASSIFICATION:
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    def check(self, data: Data) -> None:
        self.arrange(data)

    def arrange(self, data: Data) -> tuple[Split, GalleryTrial]:
        """The split and its trial; `DataError` where the data lacks what is asked for."""
        splits = data.splits()
        if self.split not in splits:
            raise DataError(
                f"identification: the data has no {self.split!r} split; it has: {', '.join(splits)}"
            )
        split = splits[self.split]
        check_labels(split, self.by, self.groups)
        return split, arrange(split, self.subject, self.gallery)

    @property
    def prefix(self) -> str:
        return "face" if self.split == "test" else f"face/{self.split}"

    def evaluate(self, trained: EvaluationContext) -> EvaluationResult:
        if self.task not in trained.tasks:
            raise DataError(
                f"identification: no task named {self.task!r}; "
                f"the tasks are {', '.join(trained.tasks)}"
            )
        split, trial = self.arrange(trained.data)
        parts = subsets_of(trial, split, trained, self.by, self.groups)
        ways = {
            name: match_templates(templates, trial)
            for name, templates in _templates(self.task, trained, split).items()
        }
        chunks = (pixel_template(split.inputs[index]) for index in torch.split(trial.probes, CHUNK))
        pixels = match(chunks, pixel_template(split.inputs[trial.gallery]), trial.owners)
        return EvaluationResult(
            metrics=dict(_metrics(self.prefix, ways, pixels, parts)),
            headlines=(f"{self.prefix}/rank1", f"{self.prefix}/raw-pixels/rank1"),
            sections=(
                Section(
                    title="Identification" + (f" ({self.split})" if self.split != "test" else ""),
                    blocks=(
                        *identification_blocks(trial, ways, pixels, parts),
                        *failure_gallery(split, trial, ways[NETWORK], parts),
                    ),
                ),
            ),
        )


def _templates(task: str, trained: EvaluationContext, split: Split) -> dict[str, Tensor]:
    """Templates (N, K) of all samples for each way of matching; the model's own comes first."""
    said = trained.predict(split)
    logits = said.outputs[task]
    if task not in said.branches:
        return {NETWORK: template(logits)}
    branches = said.branches[task]
    ways = {
        NETWORK: template(logits, branches),
        "generic": template(logits),
        "branches": branch_template(branches),
    }
    for name, weights in _routings(trained, split, branches).items():
        ways[name] = template(logits, attrs.evolve(branches, weights=weights))
    return ways


def _routings(
    trained: EvaluationContext, split: Split, branches: BranchOutputs
) -> dict[str, Tensor]:
    """The weights (N, G) of each way of routing; by label only where all labels are there."""
    groups = len(branches.groups)
    best = F.one_hot(branches.probability.argmax(dim=1), groups)
    found = {"expected": branches.probability, "best": best.to(branches.probability)}
    router = trained.model.router
    if isinstance(router, GroupedRouter):
        labels = trained.targets(split)[router.by].to(router.group_of.device)
        group = router.groups_of(labels).cpu()
        if (group >= 0).all():
            found["label"] = F.one_hot(group, groups).to(branches.probability)
    return found


def _metrics(
    prefix: str, ways: Mapping[str, Matches], pixels: Matches, parts: Subsets
) -> Iterator[tuple[str, float]]:
    every = {name: found for name, found in ways.items() if name != NETWORK}
    for start, found in ((prefix, ways[NETWORK]), (f"{prefix}/raw-pixels", pixels)):
        yield f"{start}/rank1", found.rank1()
        yield f"{start}/rank5", found.cmc(5)[-1]
        error = found.roc().equal_error()
        yield f"{start}/eer", error.rate
        yield f"{start}/threshold", error.threshold
        for name, among in parts.groups.items():
            yield f"{start}/rank1/group/{name}", found.rank1(among)
        for name, among in parts.classes.items():
            yield f"{start}/rank1/{parts.by}/{name}", found.rank1(among)
        for size, value in rank1_by_abs_yaw(found, parts).items():
            yield f"{start}/rank1/abs-yaw/{size}", value
        if parts.abs_yaws:
            yield f"{start}/rank1/yaw-mean", fmean(rank1_by_abs_yaw(found, parts).values())
    for name, found in every.items():
        yield f"{prefix}/{name}/rank1", found.rank1()
        for group, among in parts.groups.items():
            yield f"{prefix}/{name}/rank1/group/{group}", found.rank1(among)
