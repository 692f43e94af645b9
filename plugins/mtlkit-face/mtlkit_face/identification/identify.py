"""The work of the identification evaluator: templates, matches, and what to show of them."""

from collections.abc import Iterator, Mapping
from statistics import fmean

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor

from mtlkit.data.dataset import Data, Split
from mtlkit.errors import DataError
from mtlkit.evaluation.configs import Findings
from mtlkit.evaluation.trained import Trained
from mtlkit.report.blocks import Block, Chart, Section, Series, Table, Text
from mtlkit.routing.grouped import GroupedRouter
from mtlkit.routing.module import BranchOutputs
from mtlkit_face.identification.evaluator import Identification
from mtlkit_face.identification.failures import failures
from mtlkit_face.identification.gallery import Trial, arrange
from mtlkit_face.identification.matching import BINS, Matches, match
from mtlkit_face.identification.subsets import Breakdown, break_down, check_labels
from mtlkit_face.identification.template import branch_template, pixel_template, template

NETWORK, PIXELS = "network", "raw pixels"
RANKS = 20
_CHUNK = 1024
_SHOWN_BINS = 80


def identify(config: Identification, trained: Trained) -> Findings:
    """Match the probes of a split with its gallery in every way there is; see `Identification`."""
    if config.task not in trained.tasks:
        raise DataError(
            f"identification: no task named {config.task!r}; "
            f"the tasks are {', '.join(trained.tasks)}"
        )
    split, trial = arranged(config, trained.data)
    parts = break_down(config, trained, split, trial)
    ways = {
        name: _match_templates(found, trial)
        for name, found in _templates(config.task, trained, split).items()
    }
    pixels = _match_pixels(split, trial)
    metrics = dict(_metrics(config.prefix, ways, pixels, parts))
    blocks: list[Block] = [
        Text(text=_summary(trial, ways[NETWORK])),
        *_charts(ways[NETWORK], pixels, parts, min(RANKS, len(trial.subjects))),
        *_abs_yaw_table(ways[NETWORK], pixels, parts),
        *_ways_table(ways, pixels, parts),
        *failures(split, trial, ways[NETWORK], parts),
    ]
    title = "Identification" + (f" ({config.split})" if config.split != "test" else "")
    return Findings(
        metrics=metrics,
        headlines=(f"{config.prefix}/rank1", f"{config.prefix}/raw-pixels/rank1"),
        sections=(Section(title=title, blocks=tuple(blocks)),),
    )


def arranged(config: Identification, data: Data) -> tuple[Split, Trial]:
    """The split and its trial; `DataError` where the data lacks what `config` asks for."""
    splits = data.splits()
    if config.split not in splits:
        raise DataError(
            f"identification: the data has no {config.split!r} split; it has: {', '.join(splits)}"
        )
    split = splits[config.split]
    check_labels(config, split)
    return split, arrange(split, config.subject, config.gallery)


def _templates(task: str, trained: Trained, split: Split) -> dict[str, Tensor]:
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


def _routings(trained: Trained, split: Split, branches: BranchOutputs) -> dict[str, Tensor]:
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


def _match_templates(templates: Tensor, trial: Trial) -> Matches:
    chunks = (templates[index] for index in torch.split(trial.probes, _CHUNK))
    return match(chunks, templates[trial.gallery], trial.owners)


def _match_pixels(split: Split, trial: Trial) -> Matches:
    chunks = (pixel_template(split.inputs[index]) for index in torch.split(trial.probes, _CHUNK))
    return match(chunks, pixel_template(split.inputs[trial.gallery]), trial.owners)


def _metrics(
    prefix: str, ways: Mapping[str, Matches], pixels: Matches, parts: Breakdown
) -> Iterator[tuple[str, float]]:
    every = {name: found for name, found in ways.items() if name != NETWORK}
    for start, found in ((prefix, ways[NETWORK]), (f"{prefix}/raw-pixels", pixels)):
        yield f"{start}/rank1", found.rank1()
        yield f"{start}/rank5", found.cmc(5)[-1]
        error = found.equal_error()
        yield f"{start}/eer", error.rate
        yield f"{start}/threshold", error.threshold
        for name, among in parts.groups.items():
            yield f"{start}/rank1/group/{name}", found.rank1(among)
        for name, among in parts.classes.items():
            yield f"{start}/rank1/{parts.by}/{name}", found.rank1(among)
        for size, value in _by_abs_yaw(found, parts).items():
            yield f"{start}/rank1/abs-yaw/{size}", value
        if parts.abs_yaws:
            yield f"{start}/rank1/yaw-mean", _yaw_mean(found, parts)
    for name, found in every.items():
        yield f"{prefix}/{name}/rank1", found.rank1()
        for group, among in parts.groups.items():
            yield f"{prefix}/{name}/rank1/group/{group}", found.rank1(among)


def _by_abs_yaw(found: Matches, parts: Breakdown) -> dict[str, float]:
    """Rank-1 in each bin of yaw without its sign."""
    return {size: found.rank1(among) for size, among in parts.abs_yaws.items()}


def _yaw_mean(found: Matches, parts: Breakdown) -> float:
    """The plain mean over the bins of yaw without its sign: each counts once, however full."""
    return fmean(_by_abs_yaw(found, parts).values())


def _summary(trial: Trial, network: Matches) -> str:
    subjects = len(trial.subjects)
    right = (network.ranks == 1).double()
    known = [i for i in range(subjects) if (trial.owners == i).any()]
    shares = torch.stack([right[trial.owners == i].mean() for i in known])
    error = (shares.std() / len(shares) ** 0.5).item()
    return (
        f"{len(trial.probes):,} probes of {subjects} subjects, each against a gallery of one "
        f"image of every subject. Rank-1 is {network.rank1():.3f}, with a standard error of "
        f"{error:.3f} over subjects; guessing earns {1 / subjects:.3f}. "
        f"Ties count against the model."
    )


def _charts(network: Matches, pixels: Matches, parts: Breakdown, ranks: int) -> Iterator[Chart]:
    both = {NETWORK: network, PIXELS: pixels}
    if parts.classes:
        names = tuple(parts.classes)
        yield Chart(
            title=f"Rank-1 by {parts.by}",
            kind="line" if _degrees(names) else "bar",
            x_label="yaw, degrees" if parts.by == "yaw" else parts.by,
            y_label="rank-1",
            series={
                way: Series(
                    x=_degrees(names) or names,
                    y=tuple(found.rank1(among) for among in parts.classes.values()),
                )
                for way, found in both.items()
            },
            y_range=(0.0, 1.0),
            comparable=True,
        )
    yield Chart(
        title="Cumulative match characteristic",
        kind="line",
        x_label="rank",
        y_label="share of probes found",
        series={
            way: Series(x=tuple(range(1, ranks + 1)), y=found.cmc(ranks))
            for way, found in both.items()
        },
        y_range=(0.0, 1.0),
        comparable=True,
    )
    yield _scores(network)


def _degrees(names: tuple[str, ...]) -> tuple[float, ...]:
    """The classes as numbers, to be drawn on a scale; empty where they are none."""
    try:
        return tuple(float(name) for name in names)
    except ValueError:
        return ()


def _scores(network: Matches) -> Chart:
    """Histograms of genuine and impostor scores, each of area 1, where there are any."""
    both = {"genuine": network.genuine(), "impostor": network.impostors}
    used = (both["genuine"] + both["impostor"]).nonzero()
    low, high = int(used[0]), int(used[-1]) + 1
    width = max(1, -(-(high - low) // _SHOWN_BINS))
    series = {}
    for name, counts in both.items():
        sums = F.pad(counts[low:high], (0, -(high - low) % width)).reshape(-1, width).sum(1)
        centres = (low + width * (torch.arange(len(sums)) + 0.5)) / BINS * 2 - 1
        density = sums / sums.sum() / (2 * width / BINS)
        series[name] = Series(x=tuple(centres.tolist()), y=tuple(density.tolist()))
    return Chart(
        title="Scores of genuine and impostor pairs",
        kind="area",
        x_label="score",
        y_label="density",
        series=series,
        caption=f"Equal error rate {network.equal_error_rate():.3f}.",
    )


def _abs_yaw_table(network: Matches, pixels: Matches, parts: Breakdown) -> tuple[Table, ...]:
    """Rank-1 by yaw without its sign, as the paper's tables of Multi-PIE have it."""
    if not parts.abs_yaws:
        return ()
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, *_by_abs_yaw(found, parts).values(), _yaw_mean(found, parts))
        for name, found in ((NETWORK, network), (PIXELS, pixels))
    )
    header = ("", *(size if size == "0" else f"±{size}" for size in parts.abs_yaws), "mean")
    caption = "Rank-1 by degrees of yaw, both sides together, and the plain mean of these columns."
    return (Table(header=header, rows=rows, caption=caption),)


def _ways_table(
    ways: Mapping[str, Matches], pixels: Matches, parts: Breakdown
) -> tuple[Table, ...]:
    """Rank-1 of each way of matching, overall and by group."""
    if len(ways) == 1 and not parts.groups:
        return ()
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, found.rank1(), *(found.rank1(among) for among in parts.groups.values()))
        for name, found in {**ways, PIXELS: pixels}.items()
    )
    caption = "Rank-1 of each way of matching"
    if len(ways) > 1:
        caption += (
            ": the network as its recipe routes, its generic branch alone, its pose branches "
            "alone, and both together by expected (the paper's stochastic), best and label routing"
        )
    return (Table(header=("", "all", *parts.groups), rows=rows, caption=caption + "."),)
