"""The work of the energy evaluator: numbers, charts and pictures of one trained network."""

from collections.abc import Iterator, Mapping

import attrs
import torch
from torch import Tensor

from mtlkit.evaluation.configs import Findings
from mtlkit.evaluation.trained import Trained
from mtlkit.report.blocks import Block, Chart, Section, Series, Table, Text
from mtlkit_face.energy.curves import SHUFFLES, Curves, curves, dimension_counts
from mtlkit_face.energy.evaluator import Energy
from mtlkit_face.energy.probes import Reading, probed_labels, read, samples_of
from mtlkit_face.energy.report_blocks import energy_table, pictures, sorted_chart
from mtlkit_face.energy.vectors import (
    LinearHeads,
    Overlap,
    linear_heads,
    overlap,
    rank_correlation,
    strongest,
)
from mtlkit_face.identification.identify import arranged

X, UPPER, LOWER, Y = "x", "x-upper", "x-lower", "y"
_SHARES = (8, 4, 2)  # of D: the sizes of the sets whose overlap is put into numbers


@attrs.frozen(eq=False, kw_only=True)
class Probed:
    """What probes read of one label: chance, and a reading of each kind of features."""

    chance: float
    classes: int
    strays: int  # samples of classes that no training sample has: not asked for
    readings: Mapping[str, Reading]


def analyse(config: Energy, trained: Trained) -> Findings:
    """The analysis of `trained`; see `Energy`."""
    heads = linear_heads(trained, config.task)
    split, trial = arranged(config.protocol(), trained.data)
    vectors = heads.energy()
    order = strongest(vectors[config.task])
    x = trained.predict(split).features
    counts = dimension_counts(len(order), config.points)
    found = curves(x, heads.weights[config.task], heads.bias, order, trial, counts)
    overlaps = {side: _overlaps(vectors, config.task, side) for side in heads.side}
    probed = _probe(config, trained, order)
    blocks: list[Block] = [
        Text(text=_summary(config, heads, found)),
        sorted_chart(heads),
        *pictures(heads),
        energy_table(heads),
        _curves_chart(found),
        *_overlap_blocks(config.task, vectors, overlaps),
        *_probe_blocks(config, probed, trained),
    ]
    title = "Energy of the weights" + (f" ({config.split})" if config.split != "test" else "")
    return Findings(
        metrics=dict(_metrics(config, found, vectors, overlaps, probed)),
        sections=(Section(title=title, blocks=tuple(blocks)),),
    )


def _overlaps(vectors: Mapping[str, Tensor], task: str, side: str) -> tuple[Overlap, ...]:
    size = len(vectors[task])
    sizes = dict.fromkeys(max(1, size // share) for share in _SHARES)
    return tuple(overlap(vectors[task], vectors[side], most) for most in sizes)


def _probe(config: Energy, trained: Trained, order: Tensor) -> dict[str, Probed]:
    """What is read of each label from x, from its halves by identity's energy, and from y."""
    data = trained.data
    known, asked = (trained.predict(each) for each in (data.train, data.splits()[config.split]))
    half = _upper(config, len(order))
    found: dict[str, Probed] = {}
    for label in probed_labels(config, data, trained.tasks):
        samples = samples_of(label, config, data)
        first, second = known.features[samples.known], asked.features[samples.asked]
        logits = (
            known.outputs[config.task][samples.known],
            asked.outputs[config.task][samples.asked],
        )
        features = {
            X: (first, second),
            UPPER: (first[:, order[:half]], second[:, order[:half]]),
            LOWER: (first[:, order[half:]], second[:, order[half:]]),
            Y: logits,
        }
        usual = int(torch.bincount(samples.codes).argmax())
        found[label] = Probed(
            chance=(samples.wanted == usual).double().mean().item(),
            classes=len(samples.names),
            strays=samples.strays,
            readings={
                name: read(
                    learned, samples.codes, samples.subjects, judged, samples.wanted, samples.owners
                )
                for name, (learned, judged) in features.items()
            },
        )
    return found


def _upper(config: Energy, size: int) -> int:
    """How many of `size` dimensions are the upper ones."""
    return max(1, min(size - 1, round(config.upper * size)))


def _metrics(
    config: Energy,
    found: Curves,
    vectors: Mapping[str, Tensor],
    overlaps: Mapping[str, tuple[Overlap, ...]],
    probed: Mapping[str, Probed],
) -> Iterator[tuple[str, float]]:
    start = config.prefix
    yield f"{start}/rank1/x", found.x[-1]
    yield f"{start}/rank1/x-best", found.x[found.best]
    yield f"{start}/rank1/x-best-dimensions", float(found.counts[found.best])
    yield f"{start}/rank1/y", found.y[-1]
    yield f"{start}/rank1/y-falls", float(_falls(found.y))
    for side, each in overlaps.items():
        yield f"{start}/correlation/{side}", rank_correlation(vectors[config.task], vectors[side])
        for one in each:
            yield f"{start}/overlap/{side}/{one.most}", float(one.shared)
            yield f"{start}/overlap/{side}/{one.most}-by-chance", one.expected
    for label, one_label in probed.items():
        yield f"{start}/probe/{label}/chance", one_label.chance
        for name, reading in one_label.readings.items():
            yield f"{start}/probe/{label}/{name}", reading.accuracy


def _falls(curve: tuple[float, ...]) -> float:
    """The largest fall of a curve from anything it had reached; 0 for one that never falls.

    >>> _falls((0.25, 0.75, 0.5, 0.75))
    0.25
    """
    highest = torch.tensor(curve, dtype=torch.double).cummax(dim=0).values
    return (highest - torch.tensor(curve, dtype=torch.double)).max().item()


def _summary(config: Energy, heads: LinearHeads, found: Curves) -> str:
    size = heads.weights[config.task].shape[1]
    text = (
        f"The energy of a dimension of x for a task is the sum of its absolute weights in the "
        f"task's head (Yin & Liu, TIP 2018, eq. 13). Of {size} dimensions, all of x gives rank-1 "
        f"{found.x[-1]:.3f}; the {found.counts[found.best]} that are strongest for {config.task} "
        f"give {found.x[found.best]:.3f}, the best on this very split; their logits y give "
        f"{found.y[-1]:.3f}, and the curve of y falls by {_falls(found.y):.3f} at most on its way."
    )
    for task, reason in heads.passed_over.items():
        text += f" {task} is left out: {reason}."
    return text


def _curves_chart(found: Curves) -> Chart:
    return Chart(
        title="Rank-1 by the number of dimensions",
        kind="line",
        x_label="dimensions n, strongest for identity first",
        y_label="rank-1",
        series={
            "x_n": Series(x=found.counts, y=found.x),
            "x_n, random order": Series(x=found.counts, y=found.shuffled),
            "y_n": Series(x=found.counts, y=found.y),
        },
        comparable=True,
        caption=f"x_n are the n strongest dimensions, y_n = W_n x_n + b the logits they alone "
        f"give. The random order is a mean of {SHUFFLES}.",
    )


def _overlap_blocks(
    task: str, vectors: Mapping[str, Tensor], overlaps: Mapping[str, tuple[Overlap, ...]]
) -> Iterator[Chart | Table]:
    if not overlaps:
        return
    size = len(vectors[task])
    sizes = dimension_counts(size, 32)
    series = {
        side: Series(
            x=sizes,
            y=tuple(overlap(vectors[task], vectors[side], most).shared / most for most in sizes),
        )
        for side in overlaps
    }
    yield Chart(
        title=f"Strongest dimensions shared with {task}",
        kind="line",
        x_label="strongest dimensions K of each task",
        y_label="share in common",
        series={**series, "chance": Series(x=sizes, y=tuple(most / size for most in sizes))},
        y_range=(0.0, 1.0),
        caption="Below chance, the tasks read different dimensions; above it, the same.",
    )
    yield Table(
        header=("", "K", "shared", "by chance", "standard deviations", "rank correlation"),
        rows=tuple(
            (side, one.most, one.shared, one.expected, one.deviations,
             rank_correlation(vectors[task], vectors[side]))
            for side, each in overlaps.items()
            for one in each
        ),
        caption=f"How many of the K strongest dimensions of each task are among the K strongest "
        f"of {task}. By chance: the mean of the hypergeometric distribution, and how many of its "
        f"standard deviations away the overlap is. Spearman's correlation is that of the two "
        f"energies over all dimensions.",
    )  # fmt: skip


def _probe_blocks(
    config: Energy, probed: Mapping[str, Probed], trained: Trained
) -> Iterator[Chart | Table]:
    if not probed:
        return
    labels = tuple(probed)
    names = (X, UPPER, LOWER, Y)
    size = trained.model.router.features
    half = _upper(config, size)
    left = sum(one.strays for one in probed.values())
    note = f" {left} samples have a class that no training sample has, and are left out."
    series = {
        name: Series(x=labels, y=tuple(probed[label].readings[name].accuracy for label in labels))
        for name in names
    }
    yield Chart(
        title="What linear probes read",
        kind="bar",
        x_label="label",
        y_label="accuracy",
        series={**series, "chance": Series(x=labels, y=tuple(p.chance for p in probed.values()))},
        y_range=(0.0, 1.0),
        comparable=True,
    )
    yield Table(
        header=("", "classes", *names, "chance"),
        rows=tuple(
            (
                label,
                one.classes,
                *(
                    f"{one.readings[name].accuracy:.3f} ± {one.readings[name].error:.3f}"
                    for name in names
                ),
                one.chance,
            )
            for label, one in probed.items()
        ),
        caption=f"Accuracy of ridge regressions learned from the training subjects, on the "
        f"subjects of the {config.split} split, with the standard error over subjects. x-upper "
        f"are the {half} dimensions strongest for {config.task}, x-lower the other {size - half}. "
        f"Chance is always to say the most frequent class. y is a linear map of x, so a probe of "
        f"y can find nothing that a probe of x could not; features are not rescaled, so what a "
        f"head makes small stays small beside the penalty." + (note if left else ""),
    )
