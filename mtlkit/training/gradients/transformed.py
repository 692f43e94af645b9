"""Random transforms of the samples of an update."""

import torch
from torch import Tensor

from mtlkit.assembly import encode_targets
from mtlkit.data.pipeline import Pipeline
from mtlkit.data.transformed import source_of
from mtlkit.errors import DataError
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs
from mtlkit.model import MultiTaskModel
from mtlkit.training.batching.batches import UpdateBatch, sample_seed
from mtlkit.training.batching.prefetch import read_named
from mtlkit.training.context import TrainingContext
from mtlkit.training.gradients.labels import (
    BatchLabels,
    LabelReader,
    counted_parts,
    local_counts,
    task_owners,
)


def label_reader(
    model: MultiTaskModel, context: TrainingContext
) -> "LabelReader | TransformedReader":
    """Return the reader of the training samples, which applies ``transforms.train``."""
    kind = TransformedReader if context.recipe.transforms.train else LabelReader
    return kind(model, context)


class TransformedReader:
    """Reads the inputs and labels of updates after the transforms of the recipe.

    The random numbers of a sample are a function of (seed, epoch, sample), and of the pass if its
    group is repeated in the epoch, so they are the same after a restart, and for any number of
    ranks and micro-batches.
    """

    in_memory = False

    def __init__(self, model: MultiTaskModel, context: TrainingContext) -> None:
        source, recipe = source_of(context.data.train), context.recipe
        self._ids = source.ids
        self._pipeline = Pipeline(
            recipe.transforms.train,
            source.inputs,
            encode_targets(source, recipe.tasks, model.assembly),
            model.assembly.targets,
        )
        self._model, self._context = model, context
        self._owners = task_owners(model, recipe.train.batches)

    @torch.no_grad()
    def read(self, batch: UpdateBatch) -> BatchLabels:
        """Return the transformed inputs and labels of this rank's part, in any thread."""
        repeats = _repeats(batch)

        def seed(sample: int, place: int) -> int:
            repeat = repeats.get(sample, 0)
            return sample_seed(self._context.recipe.seed, batch.epoch, sample, place, repeat)

        parts = [
            read_named(lambda part: self._pipeline.batch(part, seed), index, self._ids)
            for index in batch.micro_batches
        ]
        for inputs, _ in parts:
            _require_size(inputs, self._model.assembly.inputs)
        weights = [self._model.weights(labels) for _, labels in parts]
        weights = counted_parts(weights, batch, self._owners)
        return BatchLabels(
            [labels for _, labels in parts],
            weights,
            local_counts(weights),
            [inputs for inputs, _ in parts],
            local=True,
        )


def _repeats(batch: UpdateBatch) -> dict[int, int]:
    """Return the earlier passes of the epoch over each sample of `batch` that is repeated."""
    if batch.origins is None:
        return {}
    pairs = zip(batch.whole.tolist(), batch.origins.passes.tolist(), strict=True)
    return {sample: passes for sample, passes in pairs if passes}


def _require_size(inputs: Batch, specs: InputSpecs) -> None:
    """Raise `DataError` unless images have the size and type of those of evaluation."""
    alone = isinstance(specs, InputSpec)
    named = {"inputs": inputs} if isinstance(inputs, Tensor) else inputs
    for name, values in named.items():
        spec = specs if isinstance(specs, InputSpec) else specs[name]
        shape, dtype = tuple(values.shape[1:]), str(values.dtype).removeprefix("torch.")
        if (alone or spec.is_image) and (shape, dtype) != (spec.shape, spec.dtype):
            raise DataError(
                f"transforms.train: {name}: got {dtype} of shape {shape}, expected {spec.dtype} of "
                f"shape {spec.shape}, as after `transforms.test`; end both lists with one size"
            )
