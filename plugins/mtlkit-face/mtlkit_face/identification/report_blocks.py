"""Text, charts and tables of an identification."""

from collections.abc import Iterator, Mapping
from statistics import fmean

import torch
import torch.nn.functional as F

from mtlkit.report import Block, Chart, Series, TableBlock, Text
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import BINS, Matches
from mtlkit_face.identification.subsets import Subsets
from mtlkit_face.metrics.charts import cmc_chart

NETWORK, PIXELS = "network", "raw pixels"
RANKS = 20
_SHOWN_BINS = 80


def identification_blocks(
    trial: GalleryTrial, ways: Mapping[str, Matches], pixels: Matches, parts: Subsets
) -> Iterator[Block]:
    """What a report shows of the matches by each of the `ways`, the network's own among them."""
    network = ways[NETWORK]
    yield Text(text=_summary(trial, network))
    yield from _charts(network, pixels, parts, min(RANKS, len(trial.subjects)))
    yield from _abs_yaw_table(network, pixels, parts)
    yield from _ways_table(ways, pixels, parts)


def rank1_by_abs_yaw(found: Matches, parts: Subsets) -> dict[str, float]:
    """Rank-1 in each bin of yaw without its sign."""
    return {size: found.rank1(among) for size, among in parts.abs_yaws.items()}


def _summary(trial: GalleryTrial, network: Matches) -> str:
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


def _charts(network: Matches, pixels: Matches, parts: Subsets, most: int) -> Iterator[Chart]:
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
    rates = {way: found.cmc(most) for way, found in both.items()}
    yield cmc_chart(rates, "Cumulative match characteristic")
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
        caption=f"Equal error rate {network.roc().equal_error().rate:.3f}.",
    )


def _abs_yaw_table(network: Matches, pixels: Matches, parts: Subsets) -> tuple[TableBlock, ...]:
    """Rank-1 by yaw without its sign, as the paper's tables of Multi-PIE have it."""
    if not parts.abs_yaws:
        return ()
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (
            name,
            *rank1_by_abs_yaw(found, parts).values(),
            fmean(rank1_by_abs_yaw(found, parts).values()),
        )
        for name, found in ((NETWORK, network), (PIXELS, pixels))
    )
    header = ("", *(size if size == "0" else f"±{size}" for size in parts.abs_yaws), "mean")
    caption = "Rank-1 by degrees of yaw, both sides together, and the plain mean of these columns."
    return (TableBlock(header=header, rows=rows, caption=caption),)


def _ways_table(
    ways: Mapping[str, Matches], pixels: Matches, parts: Subsets
) -> tuple[TableBlock, ...]:
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
    return (TableBlock(header=("", "all", *parts.groups), rows=rows, caption=caption + "."),)
