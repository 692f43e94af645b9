"""Build and run a component of each family, so that one check covers several families."""

from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from mtlkit.adapters.base import Adapter
from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.backbones.casia_net import CasiaNet
from mtlkit.errors import MtlkitError
from mtlkit.features.inputs import map_batch
from mtlkit.features.nodes import NodeFeatures
from mtlkit.heads.base import Head, HeadModule
from mtlkit.model import MultiTaskModel
from mtlkit.recipe import Recipe
from mtlkit.routers.base import Router
from mtlkit.routers.branches import Branch
from mtlkit.routers.grouped import Grouped
from mtlkit.testing.check import Example, Subject
from mtlkit.testing.head_batches import features_of, head_batch, new_head
from mtlkit.testing.small_data import small_model, small_recipe, small_targets
from mtlkit.testing.small_features import random_features, random_inputs

Batch = tuple[Any, ...]


@attrs.frozen
class Harness:
    """Functions to build a module, and to compute outputs and a loss for `batch(N)`.

    `outputs` are those of the first tensor of the batch by default, with which compiled and
    exported modules are called. `rows` computes outputs with a row for each sample (N, ...): those
    of nodes are pooled.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[int], Batch]
    outputs: Callable[[nn.Module, Batch], Tensor] = lambda module, batch: module(batch[0])
    loss: Callable[[nn.Module, Batch], Tensor] = attrs.field(
        default=attrs.Factory(lambda self: self.mean_square, takes_self=True)
    )
    rows: Callable[[nn.Module, Batch], Tensor] = attrs.field(
        default=attrs.Factory(lambda self: self.outputs, takes_self=True)
    )

    def mean_square(self, module: nn.Module, batch: Batch) -> Tensor:
        """Return the mean square of the outputs, the loss of a module without labels."""
        return self.outputs(module, batch).float().square().mean()

    def seeded(self, seed: int = 0) -> nn.Module:
        """Return the module built with a seed."""
        torch.manual_seed(seed)
        return self.build()


def harness_of(subject: Subject) -> Harness:
    """Return the harness of a backbone, a head, a router or a branch."""
    value = subject.value
    match value:
        case Backbone():
            return _backbone(value, subject.example)
        case Head():
            return _head(subject.example)
        case Adapter():
            return _adapter(value, subject.example)
        case Router():
            return _model(attrs.evolve(small_recipe(), backbone=BACKBONE, router=value))
        case Branch():
            return _model(attrs.evolve(small_recipe(), backbone=BACKBONE, router=grouped(value)))
    raise MtlkitError(f"{subject.label}: got a {subject.registry.family}, expected a module")


BACKBONE = CasiaNet(width=0.05, dropout=0.0)
"""The backbone in tests of routers: small and splittable."""


def grouped(branch: Branch) -> Grouped:
    """Return a router for the small recipe with `branch`."""
    groups = {"l": ("left",), "r": ("right",)}
    return Grouped(task="kind", by="side", groups=groups, branch=branch)


def _backbone(value: Backbone, example: Example) -> Harness:
    def batch(count: int) -> Batch:
        if example.batch is not None:
            return (example.batch(count),)
        return (random_inputs(example.inputs, count),)

    def rows(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, BackboneModule)
        values: Tensor = module(batch[0])
        if not isinstance(module.features, NodeFeatures):
            return values
        return module.features.pool(values, module.context(batch[0]))

    return Harness(lambda: value.build(example.inputs), batch, rows=rows)


def _adapter(value: Adapter, example: Example) -> Harness:
    spec = features_of(example)
    batch = partial(random_features, spec)
    return Harness(lambda: value.build(spec), batch, lambda module, inputs: module(*inputs))


def _head(example: Example) -> Harness:
    def loss(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, HeadModule)
        return module.loss(*batch).mean()

    return Harness(lambda: new_head(example), partial(head_batch, example), loss=loss)


def _model(recipe: Recipe) -> Harness:
    """Return the harness of a router: the network of `recipe`."""
    tasks = tuple(recipe.tasks)

    def batch(count: int) -> Batch:
        model, data = small_model(recipe)
        index = torch.arange(count)
        targets = small_targets(model, recipe, data)
        return (
            map_batch(Tensor.float, data.train.inputs[index]),
            *(targets[task][index] for task in tasks),
        )

    def outputs(module: nn.Module, batch: Batch) -> Tensor:
        result = module(batch[0], dict(zip(tasks, batch[1:], strict=True)))
        parts = [part.flatten(1) if part.dim() > 1 else part.unsqueeze(1)
                 for part in result.outputs.values()]  # fmt: skip
        parts += [branches.posterior for branches in result.branches.values()]
        return torch.cat([part.float() for part in parts], dim=1)

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, MultiTaskModel)
        targets = dict(zip(tasks, batch[1:], strict=True))
        return module.losses(batch[0], targets, module.counts(targets)).mean.sum()

    return Harness(lambda: small_model(recipe, torch.initial_seed())[0], batch, outputs, loss)
