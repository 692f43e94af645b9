"""The training loop of a recipe, written by hand, for tests in any process."""

import attrs
import points
import torch
from schemes import SCHEMES
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import mtlkit
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.optimization.parameter_groups import parameter_groups
from mtlkit.weightings import (
    AutoLambda,
    Dynamic,
    GradientLocation,
    GradientWeighting,
    MoDo,
    SDMGrad,
)

DRAWN = (MoDo, SDMGrad, AutoLambda)


ALONE = Ranks()


class Network(nn.Module):
    """A model with its losses, as a loop wraps them in DDP."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs, targets):
        features, losses = self.model.features(inputs).shared, {}
        # gradients at the features are added in this order, which decides the last bit
        for task in sorted(self.model.tasks, key="age".__ne__):
            head = self.model.head(task)
            target = targets[task]
            losses[task] = (
                head.loss(features, target),
                self.model.assembly.targets[task].present(target),
            )
        return losses, features


class Loop:
    """The training loop of a recipe, written by hand."""

    def __init__(self, recipe, ranks=ALONE):
        made = points.updater(recipe)  # the model and the order of the samples
        self.context, self.batches, self.model = made.context, made.batches, made.inner.model
        self.ranks, self.batches.world = ranks, ranks.world
        self.network = Network(self.model)
        if ranks.world > 1:
            self.network = DistributedDataParallel(self.network)
        self.rate = recipe.optimizer.lr
        self.balance = mtlkit.balance(
            recipe.weighting,
            {name: task.role for name, task in recipe.tasks.items()},
            feature_width=self.model.router.features.width,
            classes={term.name: term.classes for term in self.model.terms},
            seed=recipe.seed,
            model=self.network,
        )
        groups = parameter_groups(made.inner, recipe.optimizer)
        learned = {id(p) for p in made.inner.weighting.parameters()}
        groups = [g for g in groups if id(g["params"][0]) not in learned]
        if list(self.balance.parameters()):
            groups.append(self.balance.parameter_group(self.rate))
        self.optimizer = recipe.optimizer.build(groups)
        self.where = {}
        scheme = recipe.weighting
        if isinstance(scheme, GradientWeighting) and scheme.at is not GradientLocation.FEATURES:
            layers = [m for m in self.model.router.modules() if isinstance(m, torch.nn.Linear)]
            last = scheme.at is GradientLocation.LAST_SHARED_LAYER
            module = layers[-1] if last else self.model.router
            self.where = {"shared": list(module.parameters())}

    def forward(self, index, reduce=False):
        targets = {task: v[index] for task, v in self.context.targets["train"].items()}
        losses, features = self.network(self.context.data.train.inputs[index], targets)
        if reduce:
            pairs = losses.items()
            losses = {t: loss.sum() / mask.sum() for t, (loss, mask) in pairs if mask.any()}
        return losses, features

    def update(self, step, reduce=False):
        batch = self.batches.update(step, self.ranks.rank)
        if step % self.batches.per_epoch == 0:
            self.balance.start_epoch()
        self.optimizer.zero_grad()
        whole, draws = torch.cat(batch.micro_batches), []
        if self.batches.draws > 1:
            drawn = self.batches.drawn(batch, self.ranks.rank)
            parts = [torch.cat(draw.micro_batches) for draw in drawn]
            whole = parts.pop(2 if len(parts) == 3 else 0)
            draws = [lambda part=part: self.forward(part, reduce) for part in parts]
        if len(batch.micro_batches) > 1:
            train = self.context.targets["train"]
            targets = {
                t: self.model.assembly.targets[t].present(v[whole]) for t, v in train.items()
            }
            counts = {task: float(mask.sum()) for task, mask in targets.items()}
            parts = [lambda i=i: self.forward(i) for i in batch.micro_batches]
            result = self.balance.backward(parts, counts=counts, lr=self.rate, **self.where)
        else:
            losses, features = self.forward(whole, reduce)
            result = self.balance.backward(
                losses, features=features, draws=draws, lr=self.rate, **self.where
            )
        self.optimizer.step()
        again = [lambda i=i: self.forward(i, reduce) for i in batch.micro_batches]
        self.balance.after_step(again if len(again) > 1 else again[0])
        return result


def recipe_of(scheme, **train):
    # heads that are fused into one op add up their gradients in another order
    ops = {"multi_head_cross_entropy": "eager", "linear_cross_entropy": "eager"}
    train = attrs.evolve(points.PLAIN.train, ops=ops, **train)
    tasks = points.TASKS
    if isinstance(scheme, DRAWN):  # they need a label in every draw
        tasks = {name: task for name, task in tasks.items() if name != "rare"}
    if isinstance(scheme, Dynamic) and scheme.gate_main:  # it needs two main tasks
        tasks = {**tasks, "side": mtlkit.Task(role=mtlkit.Role.MAIN)}
    return attrs.evolve(points.PLAIN, weighting=scheme, tasks=tasks, train=train)


def cases_of_ranks():
    """Loops over two ranks: one weighting of each kind, and over two micro-batches of each too.

    In updates of 17 samples some ranks are without the label of a task.
    """
    names = "uncertainty", "dynamic", "harder-first", "log", "famo", "mgda", "pcgrad at parameters"
    for name in (*names, "moco", "modo", "auto-lambda"):
        for parts in (1, 2):
            if parts == 1 or not isinstance(SCHEMES[name], DRAWN):
                recipe = recipe_of(SCHEMES[name], batch=17, accumulate=parts)
                yield f"loop-{name.replace(' ', '-')}-{parts}", recipe


def trained(recipe, ranks=ALONE, updates=4):
    """The tensors of a loop after some updates."""
    loop = Loop(recipe, ranks)
    for step in range(updates):
        loop.update(step)
    weighting = {f"weighting.{n}": v for n, v in tensors_of(loop.balance.weighting).items()}
    return {**tensors_of(loop.model), **weighting}
