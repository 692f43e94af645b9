"""Transforms applied to samples by index, one after another."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter

import attrs
import torch
from torch import Tensor

from mtlkit.data.inputs import Inputs, join_batches
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch, map_batch
from mtlkit.targets.base import Target
from mtlkit.targets.rows import Rows
from mtlkit.transforms.base import Transform
from mtlkit.transforms.draw import Draw
from mtlkit.transforms.sample import Sample

Seed = Callable[[int, int], int]
"""Maps the index of a sample and of a transform to the seed of its random numbers."""


@attrs.frozen(eq=False)
class Pipeline:
    """Transforms of the samples of a split, whose `inputs` and `labels` are read by index."""

    transforms: tuple[Transform, ...]
    inputs: Inputs
    labels: Mapping[str, Rows]
    targets: Mapping[str, Target]

    def batch(self, index: Tensor, seed: Seed) -> tuple[Batch, dict[str, Tensor]]:
        """Return the transformed inputs and labels (B, ...) of the samples at `index` (B,)."""
        samples = [
            self._transformed(sample, number, len(self.transforms), seed)
            for sample, number in zip(self._read(index), index.tolist(), strict=True)
        ]
        inputs = join_batches(_stack, [sample.inputs for sample in samples])
        labels = {task: _stack(task, [s.labels[task] for s in samples]) for task in self.labels}
        return inputs, labels

    def _read(self, index: Tensor) -> list[Sample]:
        inputs = self.inputs[index]
        labels = {task: rows[index] for task, rows in self.labels.items()}
        return [
            Sample(
                map_batch(itemgetter(place), inputs),
                {task: values[place] for task, values in labels.items()},
                self.targets,
            )
            for place in range(len(index))
        ]

    def _transformed(self, sample: Sample, number: int, count: int, seed: Seed) -> Sample:
        """Apply the first `count` transforms to the sample `number`."""
        for place, transform in enumerate(self.transforms[:count]):

            def other(draw: Draw, place: int = place) -> Sample:
                partner = draw.integer(0, len(self.inputs) - 1)
                (raw,) = self._read(torch.tensor([partner]))
                return self._transformed(raw, partner, place, seed)

            sample = transform.apply(sample, Draw(seed(number, place), other))
        return sample


def _stack(name: str, rows: Sequence[Tensor]) -> Tensor:
    shapes = sorted({tuple(row.shape) for row in rows})
    if len(shapes) > 1:
        raise DataError(
            f"transforms: {name}: got samples of shape {shapes[0]} and {shapes[1]}, expected one; "
            f"end the list with `resize`, or a crop of one size"
        )
    return torch.stack(list(rows))
