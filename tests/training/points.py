"""A tiny data source, weightings of every kind, and recipes of them, for tests in any process."""

from pathlib import Path

import attrs
import torch

from mtlkit.adapters.pool import Pool
from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP, CasiaNet
from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    ClassTarget,
    Data,
    DataSource,
    Labels,
    Loading,
    MultiLabelTarget,
    Numeric,
    RealMapTarget,
    Split,
    VectorTarget,
)
from mtlkit.heads import DenseRegression, MultiLabel, Regression, Segmentation, VectorRegression
from mtlkit.model import assemble
from mtlkit.optim import SGD, AdamW, Cosine
from mtlkit.plugins.catalog import Catalog, Registrar, load_catalog
from mtlkit.plugins.registry import Origin
from mtlkit.recipe import Recipe, Train
from mtlkit.routers import Grouped
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.testing.small_features import SmallFeatures
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Silence
from mtlkit.training.update import Updater
from mtlkit.weightings import (
    Direction,
    Dynamic,
    GradientWeighting,
    GramianWeighting,
    JacobianWeighting,
    Uncertainty,
)


@attrs.frozen(kw_only=True)
class Points(DataSource):
    """Random 16x16 images whose labels follow from their means; most of `rare` is missing."""

    samples: int = 50
    broken: int | None = None  # the sample whose pixels are NaN
    mark: Path | None = None  # touched when the data is loaded
    on_access: bool = False  # inputs are read on access
    unreadable: int | None = None  # the sample whose inputs cannot be read

    def load(self, loading: Loading) -> Data:
        if self.mark is not None:
            self.mark.touch()
        generator = torch.Generator().manual_seed(7)
        inputs = torch.randint(
            0, 256, (self.samples, 1, 16, 16), dtype=torch.uint8, generator=generator
        )
        means = inputs.float().mean(dim=(1, 2, 3))
        who = (means * 10).long() % 3
        rare = torch.where(torch.arange(self.samples) % 7 == 0, who, -1)
        age = means.clone()
        age[::5] = torch.nan
        if self.broken is not None:
            inputs = inputs.float()
            inputs[self.broken] = torch.nan
        on_access = self.on_access or self.unreadable is not None
        train = Split(
            inputs=OnAccess(inputs, self.unreadable) if on_access else inputs,
            columns={
                "who": Categorical(who, ("ann", "bob", "cid")),
                "side": Categorical((means > 127).long(), ("left", "right")),
                "rare": Categorical(rare, ("a", "b", "c")),
                "age": Numeric(age),
            },
            ids=[f"point{i}" for i in range(self.samples)],
        )
        loading.progress("points", self.samples, self.samples)
        return Data(train=train, validation=train.subset(torch.arange(10)))


@attrs.frozen(kw_only=True)
class ByNorm(GradientWeighting):
    """Weights 1 / |g_t|, from the Gramian."""

    def build(self, terms, features):
        return ByNormWeights()


class ByNormWeights(GramianWeighting):
    def forward(self, gramian, known):
        return 1 / gramian.diagonal().clamp(min=1e-12).sqrt()


@attrs.frozen(kw_only=True)
class UnitSum(GradientWeighting):
    """The sum of unit gradients, from the Jacobian: the trunk's update is that of `ByNorm`."""

    def build(self, terms, features):
        return UnitSumDirection()


class UnitSumDirection(JacobianWeighting):
    def forward(self, jacobian, known):
        inverse = 1 / jacobian.norm(dim=1).clamp(min=1e-6)
        return Direction(inverse @ jacobian, inverse)


@attrs.frozen(eq=False)
class OnAccess:
    """Rows that are read on access, as maps in files are; one of them may be `unreadable`."""

    rows: torch.Tensor
    unreadable: int | None = None

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if self.unreadable in index.tolist():
            raise KeyError("no such file")
        return self.rows[index].clone()


@attrs.frozen(kw_only=True)
class Elements(DataSource):
    """Images with labels of several elements, many of them missing; `lazy` ones read on access."""

    samples: int = 40
    lazy: bool = False

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(5)
        shape = (self.samples, 1, 16, 16)
        inputs = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        pixels = inputs[:, 0] / 255
        gone = torch.rand(pixels.shape, generator=generator) < 0.3
        gone[::4] = True  # samples without a labeled pixel
        means = pixels.mean(dim=(1, 2))
        order = means.argsort().argsort()
        parts = torch.stack([pixels[:, :8].mean(dim=(1, 2)), pixels[:, 8:].mean(dim=(1, 2))], 1)
        unknown = torch.rand(parts.shape, generator=generator) < 0.3
        columns = {
            "who": (ClassTarget(names=("ann", "bob")), (order * 2 // self.samples)),
            "side": (
                MultiLabelTarget(names=("top", "bottom")),
                torch.where(unknown, -1, (parts > 0.5).long()),
            ),
            "rare": (
                ClassMapTarget(names=("dark", "light")),
                torch.where(gone, -1, (pixels > 0.5).long()),
            ),
            "age": (RealMapTarget(), torch.where(gone, torch.nan, pixels + 0.5).unsqueeze(1)),
            "place": (
                VectorTarget(names=("x", "y")),
                torch.where(unknown.flip(1), torch.nan, parts),
            ),
        }
        split = Split(
            inputs=inputs,
            columns={
                name: Labels(target, OnAccess(rows) if self.lazy else rows)
                for name, (target, rows) in columns.items()
            },
            ids=[f"image{i}" for i in range(self.samples)],
        )
        return Data(train=split, validation=split.subset(torch.arange(9)))


ELEMENTS = {
    "who": Task(role=Role.MAIN, adapter=Pool()),
    "side": Task(head=MultiLabel(), adapter=Pool()),
    "rare": Task(head=Segmentation()),
    "age": Task(head=DenseRegression()),
    "place": Task(head=VectorRegression(), adapter=Pool()),
}
TASKS = {
    "who": Task(role=Role.MAIN),
    "side": Task(),
    "rare": Task(),
    "age": Task(head=Regression()),
}
COMMON = {name: task for name, task in TASKS.items() if name != "rare"}  # in every draw
GROUPED = Grouped(task="who", by="side", groups={"l": ("left",), "r": ("right",)})
PLAIN = Recipe(
    data=Points(),
    backbone=MLP(hidden=(8,)),
    tasks=TASKS,
    optimizer=SGD(lr=0.05, weight_decay=0.01),
    train=Train(epochs=3, batch=16, log_every=3, threads=1, device="cpu"),
)
DENSE = attrs.evolve(PLAIN, data=Elements(), backbone=SmallFeatures(kind="maps"), tasks=ELEMENTS)
LEARNED = attrs.evolve(
    PLAIN,
    backbone=CasiaNet(width=0.05, dropout=0.4),
    weighting=Dynamic(learning_rate=0.01),
    router=GROUPED,
    optimizer=AdamW(lr=0.01),
    schedule=Cosine(warmup_steps=2),
    train=attrs.evolve(
        PLAIN.train, precision="bf16", accumulate=2, checkpoint_every=3, log_every=4, clip_norm=1.0
    ),
)
# its bits depend on the number of threads
THREADED = attrs.evolve(PLAIN, backbone=CasiaNet(width=0.2))
UNCERTAIN = attrs.evolve(
    PLAIN, weighting=Uncertainty(), train=attrs.evolve(PLAIN.train, checkpoint_every=1)
)


def catalog() -> Catalog:
    """The built-in components and those of this file."""
    found = load_catalog("none")
    own = Registrar(found, "", Origin("points", "0", __file__))
    own.data.add("points", Points, "random images")
    own.data.add("elements", Elements, "random images with labels of pixels")
    own.backbones.add("small-features", SmallFeatures, "a layer of patches")
    own.weightings.add("by-norm", ByNorm, "inverse norms")
    own.weightings.add("unit-sum", UnitSum, "unit gradients")
    own.commit()
    return found


def updater(recipe: Recipe, ranks: Ranks | None = None, folder: Path = Path()) -> Updater:
    """What makes the updates of `recipe`, with its model drawn from the seed."""
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    targets = {
        name: encode_targets(split, recipe.tasks, assembly) for name, split in data.splits().items()
    }
    torch.manual_seed(recipe.seed)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    for task in recipe.tasks:
        model.head(task).fit_targets(targets["train"][task])
    context = TrainingContext(
        recipe=recipe,
        data=data,
        targets=targets,
        folder=folder,
        checkpoints=folder / "checkpoints",
        device=torch.device("cpu"),
        ranks=ranks or Ranks(),
        progress=Silence(),
    )
    return Updater(model, recipe.weighting.build(model.terms, model.router.features.width), context)


def rebuilt(made: Updater) -> Updater:
    """The updater of the same network, as it is now."""
    recipe, model = made.context.recipe, made.inner.model
    weighting = recipe.weighting.build(model.terms, model.router.features.width)
    return Updater(model, weighting, made.context)
