"""Predictions of new samples: cells of a table with ids, and maps."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.targets.decoded import Decoded


@attrs.frozen(eq=False, kw_only=True)
class SamplePredictions:
    """Predictions of N samples with their `ids`: `columns` of N cells, and `maps` (N, ...) by task.

    The column of a task holds its prediction: the name of a class, or a number. Others are
    ``TASK/probability`` of the predicted class, ``TASK/probability/CLASS``, ``TASK/COMPONENT`` of a
    vector or of several labels, and ``TASK/unit``.

    >>> SamplePredictions(ids=["a"], columns={"side": ["left"]}, maps={}).rows()
    [{'id': 'a', 'side': 'left'}]
    """

    ids: Sequence[str]
    columns: Mapping[str, Sequence[Any]]
    maps: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self) -> list[dict[str, Any]]:
        """Return a mapping for each sample, with its id."""
        columns = {"id": self.ids, **self.columns}
        return [
            dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
        ]


def of_tasks(ids: Sequence[str], decoded: Mapping[str, Decoded]) -> SamplePredictions:
    """Return the predictions of each task, with the name of the task before each column."""
    return SamplePredictions(
        ids=ids,
        columns={
            f"{task}/{name}" if name else task: cells
            for task, value in decoded.items()
            for name, cells in value.columns.items()
        },
        maps={task: value.maps for task, value in decoded.items() if value.maps is not None},
    )


def joined(parts: Iterable[SamplePredictions]) -> SamplePredictions:
    """Return the predictions of consecutive samples as one."""
    listed = list(parts)
    first = listed[0]
    return SamplePredictions(
        ids=[id_ for part in listed for id_ in part.ids],
        columns={
            name: [cell for part in listed for cell in part.columns[name]] for name in first.columns
        },
        maps={task: torch.cat([part.maps[task] for part in listed]) for task in first.maps},
    )
