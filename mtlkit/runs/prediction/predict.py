"""Predict new samples with a trained model and the preprocessing of its training."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.data.inputs import Inputs, NamedInputs
from mtlkit.data.source import Loading
from mtlkit.data.transformed import transformed_split
from mtlkit.errors import DataError, RunError
from mtlkit.evaluators.task_scores import at_least_float32
from mtlkit.features.inputs import Batch, InputSpec, InputSpecs, map_batch
from mtlkit.features.tokens import MASK
from mtlkit.model import MultiTaskModel
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe, Train
from mtlkit.recipe_io import load_recipe
from mtlkit.runs.prediction.predictions import SamplePredictions, joined, of_tasks
from mtlkit.runs.prediction.saved_model import read_model, read_stored
from mtlkit.runs.storage.folder import RunFolder, open_run
from mtlkit.training.devices.device import chosen_device

BATCH = 256
"""Number of samples that the network reads at once."""


@attrs.frozen(eq=False, kw_only=True)
class SavedModel:
    """The trained model of a run: its `network`, and the preprocessing that turns rows into inputs.

    Call it with new samples: the path of a table, an image or a folder, rows in memory, or whatever
    the data source of the run reads (`DataSource.read`); also with raw inputs as tensors (N, ...),
    unless the source fits preprocessing to its training rows.
    """

    folder: RunFolder
    network: MultiTaskModel
    recipe: Recipe
    preprocessing: Mapping[str, Any]
    catalog: Catalog

    def __call__(
        self, rows: object, *, loading: Loading | None = None, batch: int = BATCH
    ) -> SamplePredictions:
        """Return the predictions of new samples, in `batch` samples at a time.

        Raises `DataError` for rows with other columns, words or shapes than those of training.
        """
        return joined(self.batches(rows, loading=loading, batch=batch))

    def batches(
        self, rows: object, *, loading: Loading | None = None, batch: int = BATCH
    ) -> Iterator[SamplePredictions]:
        """Yield the predictions of consecutive samples, as `__call__` returns them together."""
        split = self.split(rows, loading)
        self.network.eval()
        device = next(self.network.parameters()).device
        for index in torch.split(torch.arange(len(split)), batch):
            inputs = split.inputs[index]
            check_inputs(inputs, self.network.assembly.inputs)
            ids = [split.ids[number] for number in index.tolist()]
            yield self._predicted(ids, map_batch(lambda part: part.to(device), inputs))

    def split(self, rows: object, loading: Loading | None = None) -> Split:
        """Return new samples as the network reads them, after the ``transforms.test``."""
        raw = raw_inputs(rows)
        if raw is None:
            split = self.recipe.data.read(rows, self.preprocessing, loading or Loading())
        elif self.preprocessing:
            raise DataError(
                f"rows: got tensors, expected rows as in the training table, whose columns "
                f"{type(self.recipe.data).__name__} normalizes; pass a table, or call `.network`"
            )
        else:
            ids = [f"row {number}" for number in range(1, len(raw) + 1)]
            split = Split(inputs=raw, columns={}, ids=ids)
        if len(split) == 0:
            raise DataError("rows: got no samples, expected one or more")
        transforms = self.recipe.transforms.test
        return transformed_split(split, transforms, frozenset()) if transforms else split

    def _predicted(self, ids: list[str], inputs: Batch) -> SamplePredictions:
        network, catalog = self.network, self.catalog
        device = next(network.parameters()).device
        with (
            torch.inference_mode(),
            torch.autocast(device.type, enabled=False),
            use(catalog.op_table),
        ):
            features = network.all_features(inputs)
            outputs = network.head_outputs(features)
            mask = features.context.get(MASK)
            decoded = {}
            for task, values in outputs.items():
                target = network.assembly.targets[task]
                predictions = target.probabilities(at_least_float32(values)).cpu()
                decoded[task] = target.decode(predictions, None if mask is None else mask.cpu())
        return of_tasks(ids, decoded)


def load_model(
    path: Path | str, catalog: Catalog | None = None, *, device: str = "cpu"
) -> SavedModel:
    """Return the trained model of the run at `path`, in evaluation mode, without loading its data.

    `device` is a name as in `train.device`. Raises `RunError` if the folder holds no finished
    run, or the device is unavailable.
    """
    folder = open_run(Path(path))
    try:
        Train(device=device)
    except ValueError as cause:
        raise RunError(str(cause)) from cause
    catalog = catalog or load_catalog()
    recipe = load_recipe(folder.recipe, catalog)
    network = read_model(folder, recipe, catalog).to(chosen_device(device))
    return SavedModel(
        folder=folder,
        network=network,
        recipe=recipe,
        preprocessing=read_stored(folder)["preprocessing"],
        catalog=catalog,
    )


def predict(
    run: Path | str,
    rows: object,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    device: str = "cpu",
) -> SamplePredictions:
    """Return the predictions of the finished run at `run` for new samples: see `SavedModel`.

    Raises `RunError` if the folder holds no finished run, and `DataError` for other rows than those
    of training.
    """
    return load_model(run, catalog, device=device)(rows, loading=loading)


def raw_inputs(rows: object) -> Inputs | None:
    """Return `rows` if they are the inputs of a network: a tensor (N, ...), or several by name."""
    if isinstance(rows, Tensor):
        return rows
    if isinstance(rows, Mapping) and rows and all(isinstance(v, Tensor) for v in rows.values()):
        return NamedInputs(dict(rows))
    return None


def check_inputs(inputs: Batch, specs: InputSpecs) -> None:
    """Raise `DataError` if a batch of inputs does not fit what the network was built for."""
    if isinstance(inputs, Tensor) and isinstance(specs, InputSpec):
        _check("inputs", inputs, specs)
    elif isinstance(inputs, Mapping) and isinstance(specs, Mapping) and set(inputs) == set(specs):
        for name, spec in specs.items():
            _check(name, inputs[name], spec)
    else:
        raise DataError(f"inputs: got {_named(inputs)}, expected {_named(specs)}")


def _check(name: str, values: Tensor, spec: InputSpec) -> None:
    shape, dtype = tuple(values.shape[1:]), str(values.dtype).removeprefix("torch.")
    fixed = spec.is_image or (len(spec.shape) == 1 and spec.vocabulary is None)
    fits = len(shape) == len(spec.shape) and all(
        a == b if fixed else a <= b for a, b in zip(shape, spec.shape, strict=True)
    )
    if not fits or dtype != spec.dtype:
        raise DataError(
            f"{name}: got samples of shape {shape} in {dtype}, expected "
            f"{'' if fixed else 'at most '}{spec.shape} in {spec.dtype}, as in training"
        )
    if spec.vocabulary is not None and not (
        0 <= int(values.min()) <= int(values.max()) < spec.vocabulary
    ):
        raise DataError(
            f"{name}: got ids from {int(values.min())} to {int(values.max())}, expected 0 to "
            f"{spec.vocabulary - 1}"
        )


def _named(values: Batch | InputSpecs) -> str:
    return f"tensors named {', '.join(values)}" if isinstance(values, Mapping) else "one tensor"
