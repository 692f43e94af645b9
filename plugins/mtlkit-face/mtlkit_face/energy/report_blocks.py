"""The energy vectors as they are shown and kept: curves, pictures of the weights, and a table."""

from collections.abc import Iterator

import torch
from torch import Tensor

from mtlkit.report.blocks import Chart, Gallery, Series, Table
from mtlkit_face.energy.vectors import LinearHeads, strongest
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


def energy_table(heads: LinearHeads) -> Table:
    """Every energy as eq. 13 has it, not divided by anything; a row for each dimension of x.

    Rows are in the order of the picture of the weights as they are; a curve's own order is that of
    its column, from the largest down, equal ones by their number.
    """
    vectors = _with_all(heads)
    columns = [values.tolist() for values in vectors.values()]
    return Table(
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
