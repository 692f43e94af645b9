"""A small recipe for tests of components, with its data, model and updates.

Its tasks are ``kind`` (main, three classes), ``side`` (left or right), ``rare`` (three classes,
mostly missing) and ``size`` (a number, sometimes missing). Examples must refer to
these.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from mtlkit.adapters.pool import Pool
from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones.mlp import MLP
from mtlkit.data.columns import Categorical, Labels, Numeric
from mtlkit.data.dataset import Data, Split
from mtlkit.data.source import DataSource, Loading
from mtlkit.heads.multi_label import MultiLabel
from mtlkit.heads.regression import Regression
from mtlkit.heads.segmentation import Segmentation
from mtlkit.heads.vector_regression import VectorRegression
from mtlkit.model import MultiTaskModel, assemble
from mtlkit.optim.sgd import SGD
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.families import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train
from mtlkit.targets.class_map import ClassMapTarget
from mtlkit.targets.multi_label import MultiLabelTarget
from mtlkit.targets.rows import chunks
from mtlkit.targets.vector import VectorTarget
from mtlkit.task import Task
from mtlkit.task_types import MISSING, Role
from mtlkit.testing.small_features import SmallFeatures
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.loop import Training
from mtlkit.training.progress import Progress, Silence
from mtlkit.training.update import Updater
from mtlkit.weightings.kinds import WeightingModule

SIDE = 16
"""Side of the images in pixels."""


@attrs.frozen(kw_only=True)
class SmallData(DataSource):
    """Random images (1, 16, 16) with labels that depend on their mean, or on each pixel.

    With `sparse`, only one sample has the labels `rare` and `size`.
    """

    samples: int = 48
    sparse: bool = False

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(7)
        shape = (self.samples, 1, SIDE, SIDE)
        inputs = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        means = inputs.float().mean(dim=(1, 2, 3))
        order = means.argsort().argsort()
        kind = order * 3 // self.samples
        number = torch.arange(self.samples)
        rare, size = number % 5 == 0, number % 4 != 1
        if self.sparse:
            rare, size = number == 0, number == 0
        tags = torch.stack([kind % 2, (kind > 0).long()], dim=1)
        points = torch.stack([means, order.float()], dim=1)
        pixels = (inputs[:, 0] > 127).long()
        pixels[:, 0] = MISSING
        whole = Split(
            inputs=inputs,
            columns={
                "kind": Categorical(kind, ("a", "b", "c")),
                "side": Categorical((means > 127.5).long(), ("left", "right")),
                "rare": Categorical(torch.where(rare, kind, -1), ("a", "b", "c")),
                "size": Numeric(torch.where(size, means, torch.nan)),
                "tags": Labels(MultiLabelTarget(names=("odd", "large")), tags),
                "points": Labels(
                    VectorTarget(names=("x", "y")),
                    torch.where(size.unsqueeze(1), points, torch.nan),
                ),
                "pixels": Labels(ClassMapTarget(names=("dark", "light")), pixels),
            },
            ids=[f"sample {i}" for i in range(self.samples)],
        )
        parts = torch.split(number, [self.samples - 16, 8, 8])
        train, validation, test = (whole.subset(part) for part in parts)
        return Data(train=train, validation=validation, test=test)


def small_recipe() -> Recipe:
    """Return a recipe, to be used with the component under test.

    >>> [term.name for term in small_recipe().terms()]
    ['kind', 'side', 'rare', 'size']
    """
    return Recipe(
        data=SmallData(),
        backbone=MLP(hidden=(8,)),
        tasks={
            "kind": Task(role=Role.MAIN),
            "side": Task(),
            "rare": Task(),
            "size": Task(head=Regression()),
        },
        optimizer=SGD(lr=0.05, weight_decay=0.01),
        train=Train(epochs=3, batch=16, log_every=1, threads=1, device="cpu"),
    )


def small_map_recipe() -> Recipe:
    """Return the small recipe with features and labels of several types, for the same tasks.

    ``kind`` is a class, ``side`` a class of each pixel, ``rare`` two labels, and ``size`` two
    numbers.

    >>> [type(task.head).__name__ for task in small_map_recipe().tasks.values()]
    ['Classification', 'Segmentation', 'MultiLabel', 'VectorRegression']
    """
    return attrs.evolve(
        small_recipe(),
        backbone=SmallFeatures(kind="maps"),
        tasks={
            "kind": Task(role=Role.MAIN, adapter=Pool()),
            "side": Task(target="pixels", head=Segmentation()),
            "rare": Task(target="tags", head=MultiLabel(), adapter=Pool()),
            "size": Task(target="points", head=VectorRegression(), adapter=Pool()),
        },
    )


def add_small_data(catalog: Catalog) -> Catalog:
    """Register `SmallData` as ``small-data``, so that recipes with it can be written."""
    registrar = Registrar(catalog, "", Origin("mtlkit", "testing", __file__))
    registrar.data.add("small-data", SmallData, "the small data set of mtlkit.testing")
    registrar.commit()
    return catalog


def small_model(recipe: Recipe, seed: int = 0) -> tuple[MultiTaskModel, Data]:
    """Return the network of `recipe`, initialized with `seed`, and its data."""
    data = recipe.data.load(Loading())
    torch.manual_seed(seed)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly_of(data, recipe.tasks))
    for task, target in small_targets(model, recipe, data).items():
        model.head(task).fit_targets(target)
    return model, data


def small_targets(model: MultiTaskModel, recipe: Recipe, data: Data) -> Mapping[str, Tensor]:
    """Return the targets (N, ...) of each task in the training split."""
    rows = encode_targets(data.train, recipe.tasks, model.assembly)
    return {task: torch.cat(list(chunks(labels))) for task, labels in rows.items()}


def small_updater(recipe: Recipe, ranks: Ranks | None = None) -> Updater:
    """Return the updater of `recipe`, with its model initialized with seed 0."""
    return Updater(*_parts(recipe, ranks=ranks or Ranks()))


def small_training(recipe: Recipe, checkpoints: Path, progress: Progress | None = None) -> Training:
    """Return the training of `recipe`, with its model initialized with seed 0."""
    return Training(*_parts(recipe, checkpoints=checkpoints, progress=progress or Silence()))


def _parts(
    recipe: Recipe, **settings: Any
) -> tuple[MultiTaskModel, WeightingModule, TrainingContext]:
    model, data = small_model(recipe)
    targets = {
        name: encode_targets(split, recipe.tasks, model.assembly)
        for name, split in data.splits().items()
    }
    context = TrainingContext(
        recipe=recipe, data=data, targets=targets, device=torch.device("cpu"), **settings
    )
    return model, recipe.weighting.build(model.terms, model.router.features.width), context
