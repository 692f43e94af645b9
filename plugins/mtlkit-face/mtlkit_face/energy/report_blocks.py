"""Report text, charts, weight images and tables of the energy analysis."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from mtlkit.evaluators import Chart, Gallery, Series, TableBlock
from mtlkit_face.energy.curves import SHUFFLES, Curves, dimension_counts, largest_fall
from mtlkit_face.energy.probes import LOWER, UPPER, ProbeResults, X, Y
from mtlkit_face.energy.vectors import LinearHeads, Overlap, overlap, rank_correlation, strongest
from mtlkit_face.energy.weight_image import weights_picture

ALL = "all tasks"


def sorted_chart(heads: LinearHeads) -> Chart:
    """Return the chart of the energies of each task in descending order, divided by their mean."""
    vectors = _with_all(heads)
    ranks = tuple(range(1, len(heads.all_energy()) + 1))
    return Chart(
        title="Energy of each dimension, sorted for each task",
        kind="line",
        x_label="dimensions, strongest first",
        y_label="energy, in units of its mean",
        series={
            name: Series(
                x=ranks,
                y=tuple((values.sort(descending=True).values / values.mean()).tolist()),
            )
            for name, values in vectors.items()
            if values.mean() > 0
        },
        caption="A task with a flat curve reads all dimensions equally, with a steep one only few.",
    )


def pictures(heads: LinearHeads) -> Iterator[Gallery]:
    """Yield the images of the weights, unscaled and divided by the mean weight of each task."""
    vectors = heads.energy().values()
    scaled = torch.stack([vector / vector.mean().clamp(min=1e-30) for vector in vectors]).sum(0)
    rows = [(weights_picture(heads.weights, strongest(heads.all_energy()), balanced=False),)]
    if heads.side:
        rows.append((weights_picture(heads.weights, strongest(scaled), balanced=True),))
    yield Gallery(rows=tuple(rows), wide=True)


def energy_table(heads: LinearHeads) -> TableBlock:
    """Return the table of all energies (eq. 13, unscaled), one row per dimension of x.

    Rows have the order of the unscaled weight image: descending energy over all tasks.
    """
    vectors = _with_all(heads)
    columns = [values.tolist() for values in vectors.values()]
    return TableBlock(
        header=("dimension of x", *vectors),
        rows=tuple(
            (dimension, *(column[dimension] for column in columns))
            for dimension in strongest(heads.all_energy()).tolist()
        ),
        caption="Energy of each dimension of x, numbered from 0: the unscaled sum of its absolute "
        "weights (eq. 13), sorted by the energy over all tasks. A task with more classes sums more "
        "weights.",
        folded=True,
    )


def _with_all(heads: LinearHeads) -> dict[str, Tensor]:
    """Return the energy vectors of the tasks, and of all tasks together if there are several."""
    vectors = heads.energy()
    return {**vectors, ALL: heads.all_energy()} if heads.side else vectors


def summary(heads: LinearHeads, rank1: Curves) -> str:
    """Return the main results as text."""
    size = heads.weights[heads.task].shape[1]
    text = (
        f"The energy of a dimension of x for a task is the sum of its absolute weights in the "
        f"task's head (Yin & Liu, TIP 2018, eq. 13). Of {size} dimensions, all of x gives rank-1 "
        f"{rank1.x[-1]:.3f}; the {rank1.counts[rank1.best]} strongest for {heads.task} give "
        f"{rank1.x[rank1.best]:.3f}, the maximum on this same split. The logits y of all of x give "
        f"{rank1.y[-1]:.3f}; the curve of y drops by at most {largest_fall(rank1.y):.3f} below its "
        f"running maximum."
    )
    for task, reason in heads.skipped.items():
        text += f" {task} is skipped: {reason}."
    return text


def curves_chart(rank1: Curves) -> Chart:
    """Return the chart of rank-1 of x_n and y_n by n."""
    return Chart(
        title="Rank-1 by the number of dimensions",
        kind="line",
        x_label="dimensions n, strongest for identity first",
        y_label="rank-1",
        series={
            "x_n": Series(x=rank1.counts, y=rank1.x),
            "x_n, random order": Series(x=rank1.counts, y=rank1.shuffled),
            "y_n": Series(x=rank1.counts, y=rank1.y),
        },
        comparable=True,
        caption=f"x_n are the n strongest dimensions, y_n = W_n x_n + b the logits computed from "
        f"them alone. The curve for random order is the mean of {SHUFFLES} orders.",
    )


def overlap_blocks(
    task: str, vectors: Mapping[str, Tensor], overlaps: Mapping[str, tuple[Overlap, ...]]
) -> Iterator[Chart | TableBlock]:
    """Yield the overlap of the strongest dimensions of each side task with those of `task`."""
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
        caption="Below chance, the tasks read different dimensions; above chance, the same ones.",
    )
    yield TableBlock(
        header=("", "K", "shared", "by chance", "standard deviations", "rank correlation"),
        rows=tuple(
            (side, one.most, one.shared, one.expected, one.z_score,
             rank_correlation(vectors[task], vectors[side]))
            for side, sizes in overlaps.items()
            for one in sizes
        ),
        caption=f"Number of the K strongest dimensions of each task that are among the K strongest "
        f"of {task}. By chance: the mean of the hypergeometric distribution; the distance from it "
        f"is in its standard deviations. Spearman's correlation is between the two energies over "
        f"all dimensions.",
    )  # fmt: skip


def probe_blocks(
    probed: Mapping[str, ProbeResults], task: str, split: str, size: int, half: int
) -> Iterator[Chart | TableBlock]:
    """Yield probe accuracies on `size` features and on the `half` strongest for `task`."""
    if not probed:
        return
    labels = tuple(probed)
    names = (X, UPPER, LOWER, Y)
    unknown = sum(one.unknown for one in probed.values())
    note = f" {unknown} samples of classes without training samples are skipped."
    series = {
        name: Series(x=labels, y=tuple(probed[label].accuracies[name].accuracy for label in labels))
        for name in names
    }
    yield Chart(
        title="Accuracy of linear probes",
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
                    f"{one.accuracies[name].accuracy:.3f} ± {one.accuracies[name].error:.3f}"
                    for name in names
                ),
                one.chance,
            )
            for label, one in probed.items()
        ),
        caption=f"Accuracy of ridge regressions fitted on the training subjects, on the subjects "
        f"of the {split} split, with the standard error over subjects. x-upper are the {half} "
        f"strongest dimensions for {task}, x-lower the other {size - half}. Chance is the accuracy "
        f"of predicting the most frequent class. y is a linear map of x, so a probe of y has no "
        f"information that a probe of x lacks. Features are not rescaled: a feature that a head "
        f"shrinks is small relative to the penalty." + (note if unknown else ""),
    )
