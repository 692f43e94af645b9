"""How good the model is on the validation split while it is trained."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.data.dataset import Split
from mtlkit.model import MultiTaskModel


@torch.no_grad()
def validation_metrics(
    model: MultiTaskModel,
    split: Split,
    targets: Mapping[str, Tensor],
    *,
    batch: int,
    device: torch.device,
    autocast: torch.autocast,
) -> dict[str, float]:
    """Each task's mean loss and metrics on `split`, as ``pose/accuracy``.

    `targets` (N,) of each task may be missing; a task without any has no metrics.
    """
    training = model.training
    model.eval()
    outputs: dict[str, list[Tensor]] = {task: [] for task in model.tasks}
    losses = dict.fromkeys(model.tasks, 0.0)
    for index in torch.split(torch.arange(len(split)), batch):
        with autocast:
            features = model.all_features(split.inputs[index].to(device))
            wanted = {task: targets[task][index].to(device) for task in model.tasks}
            lost = model.head_losses(features, wanted)
            for task in model.tasks:
                losses[task] += lost[task].double().sum().item()
                outputs[task].append(model.head(task)(features.of(task)).float().cpu())
    model.train(training)
    found: dict[str, float] = {}
    for task, parts in outputs.items():
        head, target = model.head(task), targets[task]
        count = int(head.present(target).sum())
        if count:
            found[f"{task}/loss"] = losses[task] / count
            metrics = head.metrics(torch.cat(parts), target)
            found |= {f"{task}/{name}": value for name, value in metrics.items()}
    return found
