"""Identification of unseen subjects: one gallery image per subject, all other images are probes.

Follows Yin & Liu (TIP 2018), section IV: rank-1 by the cosine of identity logits, or by eq. 12 for
a network with pose branches.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data import ClassTarget, Data, Inputs, Split, single_input
from mtlkit.evaluators import EvaluationContext, EvaluationResult, Evaluator, Section
from mtlkit.plugins import DataError, LossTerm, Problem, one_of
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
    """Return the labels of the paper's gallery images."""
    return {"yaw": 0, "expression": "neutral"}


@attrs.frozen(kw_only=True)
class Identification(Evaluator):
    """Rank-1 and CMC of a split's subjects against a gallery of one image each.

    `gallery` maps labels to values; the first image of a subject with all of them is its gallery
    image. If the data has the label `neutral_light`, that label must be yes for all gallery images,
    unless `gallery` contains it.

    `by` is the label that breaks down the results; None means yaw if the data has it. `groups` are
    named sets of classes of `by`; None means the router's groups, or the paper's three for yaw.
    Rank-1 is also reported by absolute yaw, ``rank1/abs-yaw/45``, and as the unweighted mean over
    these bins, ``rank1/yaw-mean``. `mirror` also matches by the normalized sum of the templates of
    each image and its mirror image (test-time augmentation), ``face/mirrored/rank1``.
    Matching raw pixels is the baseline without learning. Metrics are named ``face/...`` on the test
    split and ``face/<split>/...`` on another one.

    >>> Identification(gallery={"pose": "straight"}, by="pose").split
    'test'
    """

    task: str = "identity"
    subject: str = "subject"
    split: str = attrs.field(default="test", validator=one_of("train", "validation", "test"))
    gallery: Mapping[str, str | int] = attrs.field(factory=frontal_and_neutral)
    by: str | None = None
    groups: Mapping[str, tuple[str | int | float, ...]] | None = None
    mirror: bool = False

    def problems(self, terms: Sequence[LossTerm]) -> Iterable[Problem]:
        known = {term.task: term for term in terms}
        if self.task not in known:
            tasks = ", ".join(known)
            yield Problem(("task",), f"no task named {self.task!r}; the tasks are {tasks}")
        elif not known[self.task].predicts(ClassTarget):
            yield Problem(("task",), f"the task {self.task!r} predicts no classes")

    def check(self, data: Data) -> None:
        self.arrange(data)

    def arrange(self, data: Data) -> tuple[Split, GalleryTrial]:
        """Return the split and its trial; raises `DataError` if the data lacks a label or value."""
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
        subsets = subsets_of(trial, split, trained, self.by, self.groups)
        methods = {
            name: match_templates(templates, trial)
            for name, templates in _templates(self.task, trained, split).items()
        }
        if self.mirror:
            templates = mirrored_templates(self.task, trained, split)
            methods["mirrored"] = match_templates(templates, trial)
        chunks = (
            pixel_template(single_input(split.inputs[index]))
            for index in torch.split(trial.probes, CHUNK)
        )
        pixels = match(
            chunks, pixel_template(single_input(split.inputs[trial.gallery])), trial.mates
        )
        return EvaluationResult(
            metrics=dict(_metrics(self.prefix, methods, pixels, subsets)),
            headlines=(f"{self.prefix}/rank1", f"{self.prefix}/raw-pixels/rank1"),
            sections=(
                Section(
                    title="Identification" + (f" ({self.split})" if self.split != "test" else ""),
                    blocks=(
                        *identification_blocks(trial, methods, pixels, subsets),
                        *failure_gallery(split, trial, methods[NETWORK], subsets),
                    ),
                ),
            ),
        )


def _templates(task: str, trained: EvaluationContext, split: Split) -> dict[str, Tensor]:
    """Return the templates (N, K) of all samples for each matching method, the recipe's first."""
    predictions = trained.predict(split)
    logits = predictions.outputs[task]
    if task not in predictions.branches:
        return {NETWORK: template(logits)}
    branches = predictions.branches[task]
    methods = {
        NETWORK: template(logits, branches),
        "generic": template(logits),
        "branches": branch_template(branches),
    }
    for name, weights in _branch_weights(trained, split, branches).items():
        methods[name] = template(logits, attrs.evolve(branches, weights=weights))
    return methods


class _Mirrored:
    """Images (N, C, H, W) from right to left."""

    def __init__(self, images: Inputs) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: Tensor, /) -> Tensor:
        return single_input(self._images[index]).flip(-1)


def mirrored_templates(task: str, trained: EvaluationContext, split: Split) -> Tensor:
    """Return the sum of the templates (N, K) of images and of their mirror images, normalized."""
    total: Tensor | None = None
    for images in (split, attrs.evolve(split, inputs=_Mirrored(split.inputs))):
        predictions = trained.predict(images)
        part = template(predictions.outputs[task], predictions.branches.get(task))
        total = part if total is None else total + part
    assert total is not None
    return F.normalize(total, dim=-1)


def _branch_weights(
    trained: EvaluationContext, split: Split, branches: BranchOutputs
) -> dict[str, Tensor]:
    """Return the branch weights (N, G) of each routing; by label only if no label is missing."""
    groups = len(branches.groups)
    best = F.one_hot(branches.probability.argmax(dim=1), groups)
    weights = {"expected": branches.probability, "best": best.to(branches.probability)}
    router = trained.model.router
    if isinstance(router, GroupedRouter):
        labels = trained.targets(split)[router.by].to(router.group_of.device)
        group = router.groups_of(labels).cpu()
        if (group >= 0).all():
            weights["label"] = F.one_hot(group, groups).to(branches.probability)
    return weights


def _metrics(
    prefix: str, methods: Mapping[str, Matches], pixels: Matches, subsets: Subsets
) -> Iterator[tuple[str, float]]:
    for start, matches in ((prefix, methods[NETWORK]), (f"{prefix}/raw-pixels", pixels)):
        yield f"{start}/rank1", matches.rank1()
        yield f"{start}/rank5", matches.cmc(5)[-1]
        error = matches.roc().equal_error()
        yield f"{start}/eer", error.rate
        yield f"{start}/threshold", error.threshold
        for name, mask in subsets.groups.items():
            yield f"{start}/rank1/group/{name}", matches.rank1(mask)
        for name, mask in subsets.classes.items():
            yield f"{start}/rank1/{subsets.by}/{name}", matches.rank1(mask)
        for size, value in rank1_by_abs_yaw(matches, subsets).items():
            yield f"{start}/rank1/abs-yaw/{size}", value
        if subsets.abs_yaws:
            yield f"{start}/rank1/yaw-mean", fmean(rank1_by_abs_yaw(matches, subsets).values())
    for kind, statistics in methods[NETWORK].score_statistics().items():
        for name, number in attrs.asdict(statistics).items():
            yield f"{prefix}/scores/{kind}/{name}", float(number)
    for name, matches in methods.items():
        if name != NETWORK:
            yield f"{prefix}/{name}/rank1", matches.rank1()
            for group, mask in subsets.groups.items():
                yield f"{prefix}/{name}/rank1/group/{group}", matches.rank1(mask)
