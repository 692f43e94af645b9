"""Identification with wrong pose estimates; see `pose_errors.PoseErrors`."""

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.evaluation.configs import Findings
from mtlkit.evaluation.trained import Trained
from mtlkit.report.blocks import Chart, Section, Series, Text
from mtlkit.routing.module import BranchOutputs
from mtlkit_face.identification.gallery import Trial
from mtlkit_face.identification.identify import arranged
from mtlkit_face.identification.matching import match
from mtlkit_face.identification.pose_errors import PoseErrors
from mtlkit_face.identification.template import template

EXPECTED, BEST = "expected", "best"


def with_pose_errors(config: PoseErrors, trained: Trained) -> Findings:
    """Match as eq. 12 does, once for each share of wrong estimates and each way of routing."""
    task = config.task
    split, trial = arranged(config.protocol(), trained.data)
    said = trained.predict(split)
    branches = said.branches[task]
    found: dict[str, list[float]] = {EXPECTED: [], BEST: []}
    for share in config.shares:
        probability = corrupted(branches.probability, share, config.seed)
        best = F.one_hot(probability.argmax(dim=1), len(branches.groups)).to(probability)
        for way, weights in ((EXPECTED, probability), (BEST, best)):
            routed = attrs.evolve(branches, weights=weights)
            found[way].append(_rank1(said.outputs[task], routed, trial))
    metrics = {
        f"{config.prefix}/{share:g}/{way}/rank1": value
        for way, values in found.items()
        for share, value in zip(config.shares, values, strict=True)
    }
    return Findings(metrics=metrics, sections=(_section(config, found, split, trial),))


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


def _rank1(logits: Tensor, branches: BranchOutputs, trial: Trial) -> float:
    templates = template(logits, branches)
    chunks = (templates[index] for index in torch.split(trial.probes, 1024))
    return match(chunks, templates[trial.gallery], trial.owners).rank1()


def _section(
    config: PoseErrors, found: dict[str, list[float]], split: Split, trial: Trial
) -> Section:
    chart = Chart(
        title="Rank-1 under wrong pose estimates",
        kind="line",
        x_label="share of images with a pose estimate of another group",
        y_label="rank-1",
        series={way: Series(x=config.shares, y=tuple(values)) for way, values in found.items()},
        comparable=True,
    )
    said = (
        f"{len(trial.probes):,} probes of {len(trial.subjects)} subjects of the "
        f"{config.split} split ({len(split):,} images). Expected routing weighs "
        f"every branch by the probability of its group (eq. 12), best routing takes the branch of "
        f"the most probable group."
    )
    return Section(title="Wrong pose estimates", blocks=(Text(text=said), chart))
