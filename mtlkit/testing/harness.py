"""How a component of each family is built and run, so that one check serves several families."""

from collections.abc import Callable

import attrs
import torch
from torch import Tensor, nn

from mtlkit.backbones.base import Backbone, BackboneModule
from mtlkit.backbones.casia_net import CasiaNet
from mtlkit.errors import MtlkitError
from mtlkit.heads.base import Head, HeadModule
from mtlkit.model import MultiTaskModel
from mtlkit.recipe import Recipe
from mtlkit.routers.base import Router
from mtlkit.routers.branches import Branch
from mtlkit.routers.grouped import Grouped
from mtlkit.task_types import MISSING, TaskKind
from mtlkit.testing.check import Subject
from mtlkit.testing.world import small_model, small_recipe, small_targets

Batch = tuple[Tensor, ...]

FEATURES = 8
"""The width of the features that a head is tried with."""

CLASSES = ("a", "b", "c")


@attrs.frozen
class Bench:
    """`build` makes the module; `say` gives its outputs (N, ...) for `batch(N)`, `loss` a scalar.

    `module` is the module that is compiled and exported, called with the batch's first tensor.
    """

    build: Callable[[], nn.Module]
    batch: Callable[[int], Batch]
    say: Callable[[nn.Module, Batch], Tensor]
    loss: Callable[[nn.Module, Batch], Tensor]

    def seeded(self, seed: int = 0) -> nn.Module:
        """The module as it comes of a seed."""
        torch.manual_seed(seed)
        return self.build()


def bench_of(subject: Subject) -> Bench:
    """The bench for a backbone, a head, a router or a branch."""
    value = subject.value
    match value:
        case Backbone():
            return _backbone(value, subject.example.sample_shape)
        case Head():
            return _head(value)
        case Router():
            return _model(attrs.evolve(small_recipe(), backbone=TRUNK, router=value))
        case Branch():
            return _model(attrs.evolve(small_recipe(), backbone=TRUNK, router=grouped(value)))
    raise MtlkitError(f"{subject.label}: there is no bench for a {subject.registry.family}")


TRUNK = CasiaNet(width=0.05, dropout=0.0)
"""The backbone beside which routers are tried: small, and it can be taken apart."""


def grouped(branch: Branch) -> Grouped:
    """The router of the small world that tries `branch`."""
    groups = {"l": ("left",), "r": ("right",)}
    return Grouped(task="kind", by="side", groups=groups, branch=branch)


def _backbone(value: Backbone, shape: tuple[int, ...]) -> Bench:
    def batch(count: int) -> Batch:
        return (torch.randn(count, *shape, generator=torch.Generator().manual_seed(1)),)

    def say(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, BackboneModule)
        found: Tensor = module(batch[0])
        return found

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        return say(module, batch).float().square().mean()

    return Bench(lambda: value.build(shape), batch, say, loss)


def head_batch(value: Head, count: int) -> Batch:
    """Features (N, D) and targets (N,) for a head, of which every fourth is missing."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(count, FEATURES, generator=generator)
    number = torch.arange(count)
    if value.kind is TaskKind.CLASSIFICATION:
        target = torch.where(number % 4 == 3, MISSING, (features[:, 0] * 10).long() % len(CLASSES))
    else:
        target = torch.where(number % 4 == 3, torch.nan, features[:, 0] * 2 + 5)
    return features, target


def new_head(value: Head) -> HeadModule:
    """The head next to features (N, 8), which has seen its training targets."""
    head = value.build(FEATURES, CLASSES if value.kind is TaskKind.CLASSIFICATION else ())
    head.fit_targets(head_batch(value, 64)[1])
    return head


def _head(value: Head) -> Bench:
    def say(module: nn.Module, batch: Batch) -> Tensor:
        found: Tensor = module(batch[0])
        return found

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, HeadModule)
        return module.loss(*batch).mean()

    return Bench(lambda: new_head(value), lambda count: head_batch(value, count), say, loss)


def _model(recipe: Recipe) -> Bench:
    """A router is tried in the network that it makes."""
    tasks = tuple(recipe.tasks)

    def batch(count: int) -> Batch:
        model, data = small_model(recipe)
        index = torch.arange(count)
        targets = small_targets(model, recipe, data)
        return (data.train.inputs[index].float(), *(targets[task][index] for task in tasks))

    def say(module: nn.Module, batch: Batch) -> Tensor:
        outputs = module(batch[0], dict(zip(tasks, batch[1:], strict=True)))
        said = [found.flatten(1) if found.dim() > 1 else found.unsqueeze(1)
                for found in outputs.outputs.values()]  # fmt: skip
        said += [branches.posterior for branches in outputs.branches.values()]
        return torch.cat([found.float() for found in said], dim=1)

    def loss(module: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(module, MultiTaskModel)
        targets = dict(zip(tasks, batch[1:], strict=True))
        return module.losses(batch[0], targets, module.counts(targets)).mean.sum()

    return Bench(lambda: small_model(recipe, torch.initial_seed())[0], batch, say, loss)
