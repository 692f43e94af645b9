"""Prediction over whole splits, in batches, on any device."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.data.dataset import Data, Split
from mtlkit.evaluators.context import EvaluationContext, Predictions
from mtlkit.model import MultiTaskModel, encode_targets
from mtlkit.routers.base import BranchOutputs
from mtlkit.task import Task


class TrainedModel(EvaluationContext):
    """A trained model on a device, beside its data.

    Predictions are made in evaluation mode, in float32 and without autocast, so that the numbers
    do not depend on the precision of training. Targets of `open_labels` may be strangers in every
    split but the training and the validation split.
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
        self._targets: dict[Split, dict[str, Tensor]] = {}

    def predict(self, split: Split) -> Predictions:
        if split not in self._predictions:
            self._predictions[split] = self._predict(split)
        return self._predictions[split]

    def targets(self, split: Split) -> Mapping[str, Tensor]:
        if split not in self._targets:
            closed = split is self.data.train or split is self.data.validation
            labels = frozenset[str]() if closed else self.data.open_labels
            found = encode_targets(split, self.tasks, self.model.assembly, labels)
            self._targets[split] = found
        return self._targets[split]

    def _predict(self, split: Split) -> Predictions:
        targets = self.targets(split)
        self.model.eval()
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            parts = [
                self._one_batch(split, targets, index)
                for index in torch.split(torch.arange(len(split)), self._batch)
            ]
        return _joined(parts)

    def _one_batch(self, split: Split, targets: Mapping[str, Tensor], index: Tensor) -> Predictions:
        inputs = split.inputs[index].to(self._device)
        wanted = {task: target[index].to(self._device) for task, target in targets.items()}
        model = self.model
        features = model.all_features(inputs)
        outputs = {task: model.head(task)(features.of(task)) for task in model.tasks}
        losses = model.head_losses(features, wanted)
        branches = model.router.branch_outputs(features, outputs, wanted)
        return Predictions(
            features=_home(features.shared),
            outputs={task: _home(found) for task, found in outputs.items()},
            losses={task: _home(found) for task, found in losses.items()},
            branches={
                task: BranchOutputs(
                    said.groups, _home(said.logits), _home(said.probability), _home(said.weights)
                )
                for task, said in branches.items()
            },
        )


def _home(found: Tensor) -> Tensor:
    return found.float().cpu()


def _joined(parts: list[Predictions]) -> Predictions:
    """The predictions of consecutive batches as one."""
    first = parts[0]
    return Predictions(
        features=torch.cat([part.features for part in parts]),
        outputs={task: torch.cat([p.outputs[task] for p in parts]) for task in first.outputs},
        losses={task: torch.cat([p.losses[task] for p in parts]) for task in first.losses},
        branches={
            task: BranchOutputs(
                said.groups,
                torch.cat([part.branches[task].logits for part in parts]),
                torch.cat([part.branches[task].probability for part in parts]),
                torch.cat([part.branches[task].weights for part in parts]),
            )
            for task, said in first.branches.items()
        },
    )
