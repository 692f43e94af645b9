"""Report text, charts and tables of an identification."""

from collections.abc import Iterator, Mapping
from statistics import fmean

import torch

from mtlkit.evaluators import Block, Chart, Series, TableBlock, Text
from mtlkit_face.identification.gallery import GalleryTrial
from mtlkit_face.identification.matching import CENTERS, Matches
from mtlkit_face.identification.subsets import Subsets
from mtlkit_face.metrics.charts import cmc_chart, score_histogram

NETWORK, PIXELS = "network", "raw pixels"
RANKS = 20


def identification_blocks(
    trial: GalleryTrial, methods: Mapping[str, Matches], pixels: Matches, subsets: Subsets
) -> Iterator[Block]:
    """Yield the blocks for the matches of each matching method and of the raw pixels."""
    network = methods[NETWORK]
    yield Text(text=_summary(trial, network))
    yield from _charts(network, pixels, subsets, min(RANKS, len(trial.subjects)))
    yield from _abs_yaw_table(network, pixels, subsets)
    yield from _methods_table(methods, pixels, subsets)


def rank1_by_abs_yaw(matches: Matches, subsets: Subsets) -> dict[str, float]:
    """Return rank-1 by absolute yaw."""
    return {size: matches.rank1(mask) for size, mask in subsets.abs_yaws.items()}


def _summary(trial: GalleryTrial, network: Matches) -> str:
    subjects = len(trial.subjects)
    right = (network.ranks == 1).double()
    probed = [i for i in range(subjects) if (trial.mates == i).any()]
    rates = torch.stack([right[trial.mates == i].mean() for i in probed])
    error = (rates.std() / len(rates) ** 0.5).item()
    return (
        f"{len(trial.probes):,} probes of {subjects} subjects, each against a gallery of one "
        f"image of every subject. Rank-1 is {network.rank1():.3f}, with a standard error of "
        f"{error:.3f} over subjects; chance level is {1 / subjects:.3f}. "
        f"Ties count against the model."
    )


def _charts(network: Matches, pixels: Matches, subsets: Subsets, most: int) -> Iterator[Chart]:
    both = {NETWORK: network, PIXELS: pixels}
    if subsets.classes:
        names = tuple(subsets.classes)
        yield Chart(
            title=f"Rank-1 by {subsets.by}",
            kind="line" if _degrees(names) else "bar",
            x_label="yaw, degrees" if subsets.by == "yaw" else subsets.by,
            y_label="rank-1",
            series={
                method: Series(
                    x=_degrees(names) or names,
                    y=tuple(matches.rank1(mask) for mask in subsets.classes.values()),
                )
                for method, matches in both.items()
            },
            y_range=(0.0, 1.0),
            comparable=True,
        )
    rates = {method: matches.cmc(most) for method, matches in both.items()}
    yield cmc_chart(rates, "Cumulative match characteristic")
    yield score_histogram(
        CENTERS,
        CENTERS,
        counts=(network.mate_counts().numpy(), network.impostor_counts.numpy()),
        thresholds={"equal error": network.roc().equal_error().threshold},
        caption=f"Equal error rate {network.roc().equal_error().rate:.3f}.",
    )


def _degrees(names: tuple[str, ...]) -> tuple[float, ...]:
    """Return the classes as numbers for a continuous axis, empty if one is not a number."""
    try:
        return tuple(float(name) for name in names)
    except ValueError:
        return ()


def _abs_yaw_table(network: Matches, pixels: Matches, subsets: Subsets) -> tuple[TableBlock, ...]:
    """Return the table of rank-1 by absolute yaw, the layout of the paper's Multi-PIE tables."""
    if not subsets.abs_yaws:
        return ()
    rows: list[tuple[str | float, ...]] = []
    for name, matches in ((NETWORK, network), (PIXELS, pixels)):
        rates = rank1_by_abs_yaw(matches, subsets).values()
        rows.append((name, *rates, fmean(rates)))
    header = ("", *(size if size == "0" else f"±{size}" for size in subsets.abs_yaws), "mean")
    caption = "Rank-1 by absolute yaw in degrees, and the unweighted mean of these columns."
    return (TableBlock(header=header, rows=tuple(rows), caption=caption),)


def _methods_table(
    methods: Mapping[str, Matches], pixels: Matches, subsets: Subsets
) -> tuple[TableBlock, ...]:
    """Return the table of rank-1 of each matching method, overall and by group."""
    if len(methods) == 1 and not subsets.groups:
        return ()
    rows: tuple[tuple[str | float, ...], ...] = tuple(
        (name, matches.rank1(), *(matches.rank1(mask) for mask in subsets.groups.values()))
        for name, matches in {**methods, PIXELS: pixels}.items()
    )
    caption = "Rank-1 of each matching method"
    if len(methods) > 1:
        caption += (
            ": the network with its recipe's routing, its generic branch alone, its pose branches "
            "alone, and both combined by expected (the paper's stochastic), best and label routing"
        )
    return (TableBlock(header=("", "all", *subsets.groups), rows=rows, caption=caption + "."),)
