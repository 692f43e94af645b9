"""The network: a router over a backbone, and a head for each task."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone
from mtlkit.data.dataset import Categorical, Data, Split
from mtlkit.errors import AssemblyError, DataError
from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import head_losses
from mtlkit.routers.base import BranchOutputs, Features, Router, RouterModule, Wiring
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import MISSING, LossTerm, TaskKind
from mtlkit.weightings.kinds import StepLosses


@attrs.frozen(kw_only=True)
class Assembly:
    """Properties of the data that define a network, saved with the model."""

    sample_shape: tuple[int, ...]
    classes: Mapping[str, tuple[str, ...]]  # names, for each classification task
    mean: float  # of raw inputs
    std: float


@attrs.frozen(eq=False)
class Outputs:
    """Outputs of the network for a batch."""

    features: Tensor  # shared, (N, D)
    outputs: Mapping[str, Tensor]  # raw outputs of each task: logits (N, C) or values (N,)
    branches: Mapping[str, BranchOutputs]


class MultiTaskModel(nn.Module):
    """Maps raw inputs (N, ...) to the outputs of every task.

    Inputs are those of the data, such as 8-bit images. The network includes their normalization, so
    a saved model needs no preprocessing.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        router: RouterModule,
        heads: Mapping[str, HeadModule],
        terms: tuple[LossTerm, ...],
        assembly: Assembly,
    ) -> None:
        super().__init__()
        self.router = router
        self.tasks = tuple(heads)
        # suffixed names, because a task may be named "type" but a submodule may not
        self.heads = nn.ModuleDict({_key(task): head for task, head in heads.items()})
        self.terms = terms
        self.assembly = assembly
        self.register_buffer("mean", torch.tensor(assembly.mean), persistent=False)
        self.register_buffer("std", torch.tensor(assembly.std), persistent=False)

    def features(self, inputs: Tensor) -> Features:
        """Return the features of raw inputs (N, ...) at the end of the shared network."""
        normalized = (inputs.float() - self.mean) / self.std
        if normalized.dim() == 4:
            normalized = normalized.contiguous(memory_format=torch.channels_last)
        features: Features = self.router(normalized)
        return features

    def all_features(self, inputs: Tensor) -> Features:
        """Return the features of raw inputs (N, ...), including those computed for each task."""
        return self.router.specialize(self.features(inputs))

    def forward(self, inputs: Tensor, targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Return the outputs for raw inputs; `targets` is needed only if labels select branches."""
        features = self.all_features(inputs)
        outputs = {task: self.head(task)(features.of(task)) for task in self.tasks}
        branches = self.router.branch_outputs(features, outputs, targets)
        return Outputs(features.shared, outputs, branches)

    def losses(
        self,
        inputs: Tensor,
        targets: Mapping[str, Tensor],
        counts: Tensor,
        fraction: float = 1.0,
    ) -> StepLosses:
        """Return the losses of raw inputs (N, ...) against targets (N,) of each task.

        `counts` (T,) and `fraction` relate the batch to its update: see `StepLosses`.
        """
        return self.losses_at(self.features(inputs), targets, counts, fraction)

    def losses_at(
        self,
        features: Features,
        targets: Mapping[str, Tensor],
        counts: Tensor,
        fraction: float = 1.0,
    ) -> StepLosses:
        """Return the losses that heads and branches compute from `features`."""
        specialized = self.router.specialize(features)
        losses = self.head_losses(specialized, targets)
        if len(self.terms) > len(self.tasks):
            if features.copies:  # only heads read copies
                specialized = self.router.specialize(attrs.evolve(features, copies={}))
            losses |= self.router.branch_losses(specialized, targets)
        per_sample = torch.stack([losses[term.name] for term in self.terms])
        return StepLosses(self.terms, per_sample, counts, fraction, features.shared)

    def head_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss (N,) of each task's head at specialized `features`."""
        heads = {task: self.head(task) for task in self.tasks}
        return head_losses(heads, features.shared, features.per_task, targets)

    def head(self, task: str) -> HeadModule:
        """Return the head of `task`."""
        head = self.heads[_key(task)]
        assert isinstance(head, HeadModule)
        return head

    def counts(self, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the number of targets present for each loss term (T,), in float32."""
        present = {task: self.head(task).present(targets[task]) for task in self.tasks}
        present |= self.router.branch_present(present, targets)
        return torch.stack([present[term.name].sum() for term in self.terms]).float()


def _key(task: str) -> str:
    return f"{task}_head"


def assembly_of(data: Data, tasks: Mapping[str, Task]) -> Assembly:
    """Return the assembly for `tasks` on `data`. Raises `DataError` if a label does not fit."""
    classes: dict[str, tuple[str, ...]] = {}
    for name, task in tasks.items():
        column = data.train.column(task.target or name)
        if not column.present().any():
            raise DataError(
                f"tasks.{name}: no training sample has the label {task.target or name!r}; "
                f"remove the task"
            )
        if task.head.kind is TaskKind.CLASSIFICATION:
            if not isinstance(column, Categorical):
                raise DataError(
                    f"tasks.{name}: the label {task.target or name!r} is a number, the head "
                    f"predicts classes; use `head: {{type: regression}}`"
                )
            classes[name] = column.names
        elif isinstance(column, Categorical):
            raise DataError(
                f"tasks.{name}: the label {task.target or name!r} has classes, the head predicts "
                f"a number; list the label in `data.numeric` if its values are numbers, or use "
                f"`head: {{type: classification}}`"
            )
    return Assembly(sample_shape=data.sample_shape, classes=classes, mean=data.mean, std=data.std)


def assemble(
    backbone: Backbone, router: Router, tasks: Mapping[str, Task], assembly: Assembly
) -> MultiTaskModel:
    """Return the network of these parts. Raises `AssemblyError` if they do not fit together.

    Weights are drawn from torch's global generator; seed it first.
    """
    backbone_module = backbone.build(assembly.sample_shape)

    def new_head(task: str, features: int) -> HeadModule:
        try:
            return tasks[task].head.build(features, assembly.classes.get(task, ()))
        except AssemblyError as cause:
            raise AssemblyError(f"tasks.{task}.head: {cause}") from cause

    width = router.head_features(backbone_module.features)
    heads = {name: new_head(name, width) for name in tasks}
    wiring = Wiring(
        backbone=backbone_module,
        sample_shape=assembly.sample_shape,
        new_backbone=lambda: backbone.build(assembly.sample_shape),
        tasks=tuple(tasks),
        new_head=new_head,
        classes=assembly.classes,
    )
    module = router.build(wiring)
    terms = tuple(
        attrs.evolve(term, classes=len(assembly.classes.get(term.task, ())))
        for term in router.terms(loss_terms(tasks))
    )
    return MultiTaskModel(module, heads, terms, assembly)


def encode_targets(
    split: Split,
    tasks: Mapping[str, Task],
    assembly: Assembly,
    open_labels: frozenset[str] = frozenset(),
) -> dict[str, Tensor]:
    """Return the targets (N,) of each task in `split`, with the class codes of training.

    A class that is absent from training counts as missing for `open_labels`; otherwise raises
    `DataError`.
    """
    targets: dict[str, Tensor] = {}
    for name, task in tasks.items():
        label = task.target or name
        column = split.column(label)
        if not isinstance(column, Categorical):
            targets[name] = column.values
            continue
        known = assembly.classes[name]
        codes = {value: code for code, value in enumerate(known)}
        table = torch.tensor([codes.get(value, MISSING) for value in column.names] + [MISSING])
        targets[name] = table[column.codes]  # the code -1 selects the last entry, MISSING
        unknown = (targets[name] == MISSING) & column.present()
        if label not in open_labels and unknown.any():
            first = int(unknown.nonzero()[0])
            raise DataError(
                f"tasks.{name}: {split.ids[first]}: the label {label!r} is "
                f"{column.names[int(column.codes[first])]!r}, which no training sample has; "
                f"expected one of {', '.join(known[:10])}{', ...' if len(known) > 10 else ''}. "
                f"Change the split, or correct the label"
            )
    return targets
