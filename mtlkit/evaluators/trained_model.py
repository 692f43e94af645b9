"""Prediction over whole splits, in batches, on any device."""

from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter

import torch
from torch import Tensor

from mtlkit.assembly import encode_targets
from mtlkit.data.dataset import Data, Split
from mtlkit.evaluators.context import EvaluationContext, Predictions
from mtlkit.evaluators.task_scores import at_least_float32, predict_batch
from mtlkit.features.inputs import map_batch
from mtlkit.model import MultiTaskModel
from mtlkit.routers.base import BranchOutputs
from mtlkit.targets.rows import Rows, chunks
from mtlkit.task import Task

CACHED_BYTES = 2**28
"""Largest size of the predictions that are kept, over all splits."""


class TrainedModel(EvaluationContext):
    """A trained model on a device, with its data.

    Predictions are computed in evaluation mode in float32, without autocast, so that they do not
    depend on the precision of training. Labels in `Data.open_labels` may have classes that are
    absent from training in all splits except training and validation. Predictions of splits are
    kept up to `CACHED_BYTES` in all; those of more are computed again at each use.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        data: Data,
        tasks: Mapping[str, Task],
        device: torch.device,
        batch: int = 256,
    ) -> None:
        self.model = model.to(device).eval()
        self.data = data
        self.tasks = tasks
        self._device = device
        self._batch = batch
        self._predictions: dict[Split, Predictions] = {}
        self._rows: dict[Split, dict[str, Rows]] = {}

    def predict(self, split: Split) -> Predictions:
        if split not in self._predictions:
            parts = [_map_tensors(_to_cpu, batch) for batch, _ in self.batches(split)]
            predictions = _map_tensors(lambda *tensors: torch.cat(tensors), *parts)
            kept = sum(map(_bytes, self._predictions.values()))
            if kept + _bytes(predictions) > CACHED_BYTES:
                self._predictions.clear()
            if _bytes(predictions) > CACHED_BYTES:
                return predictions
            self._predictions[split] = predictions
        return self._predictions[split]

    def targets(self, split: Split) -> Mapping[str, Tensor]:
        rows = self._encoded(split)
        return {task: torch.cat(list(chunks(labels))) for task, labels in rows.items()}

    def _encoded(self, split: Split) -> Mapping[str, Rows]:
        """Return the rows of each task in `split`, with the class codes of training."""
        if split not in self._rows:
            closed = split is self.data.train or split is self.data.validation
            labels = frozenset[str]() if closed else self.data.open_labels
            self._rows[split] = encode_targets(split, self.tasks, self.model.assembly, labels)
        return self._rows[split]

    def batches(self, split: Split) -> Iterator[tuple[Predictions, Mapping[str, Tensor]]]:
        targets = self._encoded(split)
        cached = self._predictions.get(split)
        for index in torch.split(torch.arange(len(split)), self._batch):
            if cached is not None:
                yield _map_tensors(itemgetter(index), cached), _rows(targets, index)
            else:
                yield self._one_batch(split, _rows(targets, index), index)

    def _one_batch(
        self, split: Split, targets: Mapping[str, Tensor], index: Tensor
    ) -> tuple[Predictions, Mapping[str, Tensor]]:
        on_device = {task: target.to(self._device) for task, target in targets.items()}
        self.model.eval()
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            inputs = map_batch(lambda part: part.to(self._device), split.inputs[index])
            return predict_batch(self.model, inputs, on_device), on_device


def _rows(targets: Mapping[str, Rows], index: Tensor) -> Mapping[str, Tensor]:
    return {task: target[index] for task, target in targets.items()}


def _to_cpu(values: Tensor) -> Tensor:
    return at_least_float32(values).cpu()


def _bytes(predictions: Predictions) -> int:
    """Return the size of the features, outputs and losses."""
    tensors = [predictions.features, *predictions.outputs.values(), *predictions.losses.values()]
    return sum(tensor.nbytes for tensor in tensors)


def _map_tensors(change: Callable[..., Tensor], *parts: Predictions) -> Predictions:
    """Return the results of `change`, called with each tensor of all `parts`."""
    return Predictions(
        features=change(*(part.features for part in parts)),
        outputs={task: change(*(p.outputs[task] for p in parts)) for task in parts[0].outputs},
        losses={task: change(*(p.losses[task] for p in parts)) for task in parts[0].losses},
        branches={
            task: BranchOutputs(
                value.groups,
                change(*(part.branches[task].logits for part in parts)),
                change(*(part.branches[task].probability for part in parts)),
                change(*(part.branches[task].weights for part in parts)),
            )
            for task, value in parts[0].branches.items()
        },
    )
