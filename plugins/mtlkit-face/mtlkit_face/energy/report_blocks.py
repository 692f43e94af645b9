"""What a report shows of the energies: text, charts, pictures of the weights, and tables."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mtlkit.report import Chart, Gallery, Series, TableBlock
from mtlkit_face.energy.curves import SHUFFLES, Curves, dimension_counts, largest_fall
from mtlkit_face.energy.probes import LOWER, UPPER, Probed, X, Y
from mtlkit_face.energy.vectors import LinearHeads, Overlap, overlap, rank_correlation, strongest
from mtlkit_face.energy.weight_image import weights_picture

ALL = "all tasks"


def sorted_chart(heads: LinearHeads) -> Chart:
    """The energies of each task from the largest down, and of all tasks, in units of their mean."""
    vectors = _with_all(heads)
    places = tuple(range(1, len(heads.all_energy()) + 1))
    return Chart(
        title="Energy of each dimension, sorted for each task",
        kind="line",
        x_label="dimensions, strongest first",
        y_label="energy, in units of its mean",
        series={
            name: Series(
                x=places,
                y=tuple((values.sort(descending=True).values / values.mean()).tolist()),
            )
            for name, values in vectors.items()
            if values.mean() > 0
        },
        caption="A flat curve reads all dimensions alike; a steep one reads few.",
    )


def pictures(heads: LinearHeads) -> Iterator[Gallery]:
    """The weights as they are, and with every task in units of its own."""
    vectors = heads.energy()
    scaled = torch.stack([each / each.mean().clamp(min=1e-30) for each in vectors.values()]).sum(0)
    rows = [(weights_picture(heads.weights, strongest(heads.all_energy()), balanced=False),)]
    if heads.side:
        rows.append((weights_picture(heads.weights, strongest(scaled), balanced=True),))
    yield Gallery(rows=tuple(rows), wide=True)


def energy_table(heads: LinearHeads) -> TableBlock:
    """Every energy as eq. 13 has it, not divided by anything; a row for each dimension of x.

    Rows are in the order of the picture of the weights as they are; a curve's own order is that of
    its column, from the largest down, equal ones by their number.
    """
    vectors = _with_all(heads)
    columns = [values.tolist() for values in vectors.values()]
    return TableBlock(
        header=("dimension of x", *vectors),
        rows=tuple(
            (dimension, *(column[dimension] for column in columns))
            for dimension in strongest(heads.all_energy()).tolist()
        ),
        caption="The energy of every dimension of x, counted from 0: the sum of its absolute "
        "weights as it is (eq. 13), the strongest over all tasks first. A task with more classes "
        "sums more weights.",
        folded=True,
    )


def _with_all(heads: LinearHeads) -> dict[str, Tensor]:
    """The vectors of the tasks, and where there are several the one of all of them."""
    vectors = heads.energy()
    return {**vectors, ALL: heads.all_energy()} if heads.side else vectors


def summary(heads: LinearHeads, found: Curves) -> str:
    """The numbers of a reader in a hurry."""
    size = heads.weights[heads.task].shape[1]
    text = (
        f"The energy of a dimension of x for a task is the sum of its absolute weights in the "
        f"task's head (Yin & Liu, TIP 2018, eq. 13). Of {size} dimensions, all of x gives rank-1 "
        f"{found.x[-1]:.3f}; the {found.counts[found.best]} that are strongest for {heads.task} "
        f"give {found.x[found.best]:.3f}, the best on this very split; their logits y give "
        f"{found.y[-1]:.3f}, and the curve of y falls by {largest_fall(found.y):.3f} at "
        f"most on its way."
    )
    for task, reason in heads.passed_over.items():
        text += f" {task} is left out: {reason}."
    return text


def curves_chart(found: Curves) -> Chart:
    """Rank-1 of x_n and y_n by n."""
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


def overlap_blocks(
    task: str, vectors: Mapping[str, Tensor], overlaps: Mapping[str, tuple[Overlap, ...]]
) -> Iterator[Chart | TableBlock]:
    """How many of their strongest dimensions each side task shares with `task`."""
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
    yield TableBlock(
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


def probe_blocks(
    probed: Mapping[str, Probed], task: str, split: str, size: int, half: int
) -> Iterator[Chart | TableBlock]:
    """What probes read of `size` features, the `half` strongest for `task` among them."""
    if not probed:
        return
    labels = tuple(probed)
    names = (X, UPPER, LOWER, Y)
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
    yield TableBlock(
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
        f"subjects of the {split} split, with the standard error over subjects. x-upper "
        f"are the {half} dimensions strongest for {task}, x-lower the other {size - half}. "
        f"Chance is always to say the most frequent class. y is a linear map of x, so a probe of "
        f"y can find nothing that a probe of x could not; features are not rescaled, so what a "
        f"head makes small stays small beside the penalty." + (note if left else ""),
    )
