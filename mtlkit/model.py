"""The network: a router over a backbone, and a head for each task."""

from collections.abc import Callable, Hashable, Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.adapters.base import Adapter, AdapterModule
from mtlkit.assembly import Assembly
from mtlkit.backbones.base import Backbone
from mtlkit.errors import AssemblyError
from mtlkit.features.base import Context, FeatureSpec
from mtlkit.features.inputs import Batch
from mtlkit.features.normalization import InputNormalization
from mtlkit.heads.base import HeadModule
from mtlkit.heads.fusion import head_losses
from mtlkit.routers.base import BranchOutputs, Features, Router, RouterModule, Wiring
from mtlkit.targets.base import Target
from mtlkit.task import Task, loss_terms
from mtlkit.task_types import LossTerm, Reduction
from mtlkit.weightings.kinds import StepLosses


@attrs.frozen(eq=False)
class TaskHead:
    """The head of a task, and the adapter of the features that it reads, if there is one."""

    head: HeadModule
    adapter: AdapterModule | None


@attrs.frozen(eq=False)
class Outputs:
    """Outputs of the network for a batch."""

    features: Tensor  # shared, pooled to (N, D)
    outputs: Mapping[str, Tensor]  # raw outputs of each task, such as logits (N, C)
    branches: Mapping[str, BranchOutputs]


class MultiTaskModel(nn.Module):
    """Maps raw inputs to the outputs of every task.

    Inputs are those of the data, such as 8-bit images (N, C, H, W) or several tensors by name. The
    network includes their normalization, so a saved model needs no preprocessing. `context` returns
    the context of the features of normalized inputs.
    """

    def __init__(
        self,
        router: RouterModule,
        heads: Mapping[str, TaskHead],
        terms: tuple[LossTerm, ...],
        assembly: Assembly,
        context: Callable[[Batch], Context],
    ) -> None:
        super().__init__()
        self.router = router
        self.context = context
        self.tasks = tuple(heads)
        # suffixed names, because a task may be named "type" but a submodule may not
        self.heads = nn.ModuleDict({_key(task): part.head for task, part in heads.items()})
        self.adapters = nn.ModuleDict(
            {_key(task): part.adapter for task, part in heads.items() if part.adapter is not None}
        )
        first: dict[AdapterModule, str] = {}
        self._adapters = {
            task: first.setdefault(part.adapter, task)
            for task, part in heads.items()
            if part.adapter is not None
        }  # the first task with the same adapter
        self.normalization = InputNormalization(assembly.inputs)
        self.terms = terms
        self.assembly = assembly

    def features(self, inputs: Batch) -> Features:
        """Return the features of raw inputs at the end of the shared network."""
        normalized = self.normalization(inputs)
        features: Features = self.router(normalized)
        context = self.context(normalized)
        return attrs.evolve(features, context=context) if context else features

    def all_features(self, inputs: Batch) -> Features:
        """Return the features of raw inputs, including those computed for each task."""
        return self.router.specialize(self.features(inputs))

    def forward(self, inputs: Batch, targets: Mapping[str, Tensor] | None = None) -> Outputs:
        """Return the outputs for raw inputs; `targets` is needed only if labels select branches."""
        features = self.all_features(inputs)
        outputs = self.head_outputs(features)
        branches = self.router.branch_outputs(features, outputs, targets)
        return Outputs(self.pooled(features), outputs, branches)

    def head_outputs(self, features: Features) -> dict[str, Tensor]:
        """Return the raw outputs of each task's head at specialized `features`."""
        read = self.head_features(features)
        return {task: self.head(task)(read[task]) for task in self.tasks}

    def pooled(self, features: Features) -> Tensor:
        """Return the shared features as one vector for each sample (N, D)."""
        return self.router.features.pool(features.shared, features.context)

    def losses(
        self, inputs: Batch, targets: Mapping[str, Tensor], counts: Tensor, fraction: float = 1.0
    ) -> StepLosses:
        """Return the losses of raw inputs against the targets of each task.

        `counts` (T,) and `fraction` relate the batch to its update: see `StepLosses`.
        """
        return self.losses_at(self.features(inputs), targets, counts, fraction)

    def losses_at(
        self,
        features: Features,
        targets: Mapping[str, Tensor],
        counts: Tensor,
        fraction: float = 1.0,
        weights: Tensor | None = None,
    ) -> StepLosses:
        """Return the losses that heads and branches compute from `features`.

        `weights` (T, N) are those of `self.weights`, computed here if they are None.
        """
        specialized = self.router.specialize(features)
        losses = self.head_losses(specialized, targets)
        if len(self.terms) > len(self.tasks):
            if features.copies:  # only heads read copies
                specialized = self.router.specialize(attrs.evolve(features, copies={}))
            losses |= self.router.branch_losses(specialized, targets)
        per_sample = torch.stack([losses[term.name] for term in self.terms])
        weights = self.weights(targets) if weights is None else weights
        pooled = self.pooled(features).to(per_sample.dtype)  # half precision under autocast
        return StepLosses(self.terms, per_sample, weights, counts, fraction, pooled)

    def head_losses(self, features: Features, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss (N,) of each task's head at specialized `features`."""
        heads = {task: self.head(task) for task in self.tasks}
        sources = {task: self._source(task, features) for task in self.tasks}
        return head_losses(heads, self.head_features(features), targets, sources)

    def head_features(self, features: Features) -> dict[str, Tensor]:
        """Return the tensor that each head reads: specialized `features`, adapted.

        Tasks that share an adapter and its input read the same tensor.
        """
        adapted: dict[Hashable, Tensor] = {}
        read: dict[str, Tensor] = {}
        for task in self.tasks:
            read[task] = features.of(task)
            if task in self._adapters:
                source = self._source(task, features)
                if source not in adapted:
                    adapted[source] = self.adapters[_key(task)](read[task], features.context)
                read[task] = adapted[source]
        return read

    def _source(self, task: str, features: Features) -> Hashable:
        """Return the key of the tensor that the head of `task` reads: its origin and adapter."""
        return features.source(task), self._adapters.get(task)

    def head(self, task: str) -> HeadModule:
        """Return the head of `task`."""
        head = self.heads[_key(task)]
        assert isinstance(head, HeadModule)
        return head

    def own_parameters(self, task: str) -> list[nn.Parameter]:
        """Return the parameters of the head of `task` and of its adapter, which may be shared."""
        key = _key(task)
        adapter = self.adapters[key].parameters() if key in self.adapters else ()
        return [*self.heads[key].parameters(), *adapter]

    def weights(self, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the weight of each sample for each loss term (T, N), in float32.

        It is the number of present elements of the sample's target, or 1 for any present element,
        by the reduction of the task.
        """
        by_task = {
            term.task: weights_of(
                self.assembly.targets[term.task], targets[term.task], term.reduction
            )
            for term in self.terms[: len(self.tasks)]
        }
        if len(self.terms) == len(self.tasks):
            return torch.stack([*by_task.values()])
        present = {task: weights > 0 for task, weights in by_task.items()}
        present |= self.router.branch_present(present, targets)
        return torch.stack([by_task[term.task] * present[term.name] for term in self.terms])

    def counts(self, targets: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of the samples' weights for each loss term (T,), in float32."""
        return sum_of(self.weights(targets))


def weights_of(target: Target, labels: Tensor, reduction: Reduction) -> Tensor:
    """Return the weight of each sample (N,) in the mean loss of a task, in float32."""
    weights = target.weights(labels)
    return (weights > 0).float() if reduction is Reduction.SAMPLES else weights


def sum_of(weights: Tensor) -> Tensor:
    """Return the sum of `weights` (T, N) over the samples (T,); exact for numbers of pixels."""
    return weights.double().sum(dim=1).float()


def _key(task: str) -> str:
    return f"{task}_head"


def assemble(
    backbone: Backbone, router: Router, tasks: Mapping[str, Task], assembly: Assembly
) -> MultiTaskModel:
    """Return the network of these parts. Raises `AssemblyError` if they do not fit together.

    Weights are drawn from torch's global generator; seed it first.
    """
    backbone_module = backbone.build(assembly.inputs)

    def new_head(task: str, features: FeatureSpec) -> HeadModule:
        try:
            return tasks[task].head.build(features, assembly.targets[task])
        except AssemblyError as cause:
            raise AssemblyError(f"tasks.{task}.head: {cause}") from cause

    features = router.head_features(backbone_module.features)
    adapters = _adapters(tasks, features)
    heads = {
        name: TaskHead(new_head(name, adapter.features if adapter else features), adapter)
        for name, adapter in adapters.items()
    }
    wiring = Wiring(
        backbone=backbone_module,
        inputs=assembly.inputs,
        new_backbone=lambda: backbone.build(assembly.inputs),
        tasks=tuple(tasks),
        new_head=new_head,
        classes=assembly.classes,
    )
    module = router.build(wiring)
    terms = tuple(
        attrs.evolve(term, classes=len(assembly.targets[term.task].classes))
        for term in router.terms(loss_terms(tasks))
    )
    return MultiTaskModel(module, heads, terms, assembly, backbone_module.context)


def _adapters(tasks: Mapping[str, Task], features: FeatureSpec) -> dict[str, AdapterModule | None]:
    """Return the adapter of each task; equal ones without parameters are one module."""
    built: dict[Adapter | None, AdapterModule] = {}
    adapters: dict[str, AdapterModule | None] = dict.fromkeys(tasks)
    for name, task in tasks.items():
        if task.adapter in built:
            adapters[name] = built[task.adapter]
        elif task.adapter is not None:
            try:
                adapters[name] = module = task.adapter.build(features)
            except AssemblyError as cause:
                raise AssemblyError(f"tasks.{name}.adapter: {cause}") from cause
            if not module.state_dict():
                built[task.adapter] = module
    return adapters
