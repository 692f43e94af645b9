"""A component of every family but those of ops, with the names of the plugin API 2.0."""

import math
from typing import ClassVar

import attrs
import torch
from torch import nn

from mtlkit.backbones import Adapter, AdapterModule
from mtlkit.backbones import Backbone, BackboneModule, MapFeatures, VectorFeatures, one_input
from mtlkit.callbacks import Callback, CallbackState
from mtlkit.data import Categorical, Data, DataSource, Numeric, NumberTarget, Split, Target
from mtlkit.evaluators import EvaluationResult, Evaluator
from mtlkit.heads import Head, HeadModule
from mtlkit.callbacks import Logger, LogWriter
from mtlkit.metrics import MAE, Metric, MetricState
from mtlkit.optim import Optimizer, Schedule
from mtlkit.plugins import Problem, above, at_least
from mtlkit.evaluators import Section, TableBlock
from mtlkit.routers import Branch, BranchesModule, Features, Router, RouterModule
from mtlkit.data import Draw, Sample, Transform
from mtlkit.weightings import Direction as SummedDirection
from mtlkit.weightings import (
    GradientWeighting,
    GramianWeighting,
    JacobianWeighting,
    LossWeighting,
    WeightedLoss,
    Weighting,
)


@attrs.frozen(kw_only=True)
class Layer(Backbone):
    """One fully connected layer."""

    width: int = attrs.field(default=8, validator=at_least(1))

    def build(self, inputs):
        return LayerModule(self.width, inputs)


@attrs.frozen(kw_only=True)
class Middle(Adapter):
    """The pixel in the middle of a map."""

    reads: ClassVar = (MapFeatures,)
    gives: ClassVar = VectorFeatures

    def build(self, features):
        return MiddleModule(features)


@attrs.frozen(kw_only=True)
class Absolute(Head):
    """A number, by its absolute error."""

    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (MAE(),)

    def build(self, features, target):
        return AbsoluteHead(features.width)


@attrs.frozen(kw_only=True)
class Largest(Metric):
    """The largest error of a number."""

    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "label"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    @property
    def name(self):
        return "largest"

    def build(self, target):
        return LargestState()


@attrs.frozen(kw_only=True)
class Nudge(Transform):
    """A little added to the inputs."""

    most: float = attrs.field(default=0.1, validator=above(0))

    def apply(self, sample: Sample, draw: Draw) -> Sample:
        return attrs.evolve(sample, inputs=sample.inputs + draw.uniform(0, self.most))


@attrs.frozen(kw_only=True)
class Angle(NumberTarget):
    """An angle in degrees (N,), NaN if missing."""

    noun: ClassVar[str] = "an angle"


@attrs.frozen(kw_only=True)
class Plain(Router):
    """Every head sees the features."""

    def build(self, wiring):
        return PlainRouter(wiring.backbone)

    def terms(self, terms):
        return terms

    def problems(self, terms):
        return () if terms else [Problem(("router",), "expected a task")]


@attrs.frozen(kw_only=True)
class Linear(Branch):
    """A head of its own for each group."""

    def build(self, wiring, task, groups):
        return LinearBranches(wiring, task, groups)


@attrs.frozen(kw_only=True)
class Sum(Weighting):
    """The plain sum."""

    def build(self, terms, features):
        return SumWeights()


@attrs.frozen(kw_only=True)
class Norms(GradientWeighting):
    """Inverse gradient norms."""

    def build(self, terms, features):
        return NormWeights()


@attrs.frozen(kw_only=True)
class Direction(GradientWeighting):
    """The summed gradient."""

    def build(self, terms, features):
        return SumDirection()


@attrs.frozen(kw_only=True)
class Numbers(DataSource):
    """Random numbers with a class and a number that follow from them."""

    samples: int = attrs.field(default=24, validator=at_least(4))

    def load(self, loading):
        return draw_numbers(self.samples)


@attrs.frozen(kw_only=True)
class Descent(Optimizer):
    """Plain descent."""

    def build(self, groups):
        return torch.optim.SGD(groups, lr=self.lr)


@attrs.frozen(kw_only=True)
class Falling(Schedule):
    """Falls to zero."""

    power: float = attrs.field(default=1.0, validator=above(0))

    def factor(self, progress):
        return (1 - progress) ** self.power


@attrs.frozen(kw_only=True)
class Steps(Callback):
    """Count the updates."""

    def build(self, run):
        return StepCount(run)


@attrs.frozen(kw_only=True)
class Count(Evaluator):
    """How many samples there are."""

    def evaluate(self, trained):
        size = len(trained.data.train)
        said = trained.predict(trained.data.train)
        table = TableBlock(header=("split", "samples"), rows=(("train", size),))
        return EvaluationResult(
            metrics={"second/samples": float(size), "second/features": float(said.features.shape[1])},
            headlines=("second/samples",),
            sections=(Section(title="Samples", blocks=(table,)),),
        )


class DiaryWriter(LogWriter):
    def __init__(self, path):
        self.file = path.open("a", encoding="utf-8")

    def write(self, event):
        self.file.write(f"{type(event).__name__} {event.step}\n")

    def flush(self):
        self.file.flush()

    def close(self):
        self.file.close()


@attrs.frozen(kw_only=True)
class Diary(Logger):
    """A line for each event."""

    def open(self, folder, step):
        return DiaryWriter(folder / "diary.txt")


class LayerModule(BackboneModule):
    def __init__(self, width, inputs):
        super().__init__()
        self.layer = nn.Linear(math.prod(one_input(inputs, "second/layer").shape), width)
        self.features = VectorFeatures(width=width)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1)).relu()


class MiddleModule(AdapterModule):
    def __init__(self, features):
        super().__init__()
        self.features = VectorFeatures(width=features.width)

    def forward(self, features, context):
        return features[:, :, features.shape[2] // 2, features.shape[3] // 2]


class StepCount(CallbackState):
    """The number of updates, in a buffer that checkpoints hold."""

    def __init__(self, run):
        super().__init__(run)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def after_update(self, step):
        self.count += 1
        assert self.count == step


class AbsoluteHead(HeadModule):
    def __init__(self, features):
        super().__init__()
        self.layer = nn.Linear(features, 1)

    def forward(self, features):
        return self.layer(features).squeeze(-1).float()

    def loss(self, features, target):
        present = self.present(target)
        error = self(features) - torch.where(present, target, 0.0)
        return torch.where(present, error.abs(), 0.0)

    def present(self, target):
        return ~target.isnan()

class LargestState(MetricState):
    def __init__(self):
        self.errors = torch.zeros(0)

    def update(self, outputs, target):
        errors = (outputs - target)[~target.isnan()].abs().cpu()
        self.errors = torch.cat([self.errors, errors])

    def merge(self, other):
        self.errors = torch.cat([self.errors, other.errors])

    def compute(self):
        return self.errors.max().item() if len(self.errors) else None


class PlainRouter(RouterModule):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.features = backbone.features

    def forward(self, inputs):
        return Features(self.backbone(inputs))

    def branch_present(self, present, targets):
        return {}

    def branch_losses(self, features, targets):
        return {}

    def branch_outputs(self, features, logits, targets):
        return {}


class LinearBranches(BranchesModule):
    def __init__(self, wiring, task, groups):
        super().__init__()
        size = wiring.backbone.features
        self.heads = nn.ModuleList(wiring.new_head(task, size) for _ in range(groups))

    def losses(self, group, features, target):
        found = torch.zeros(len(target))
        for number, head in enumerate(self.heads):
            index = (group == number).nonzero().flatten()
            if len(index):
                own = head.loss(features.shared[index], target[index])
                found = found.index_add(0, index, own)
        return found

    def outputs(self, features):
        return torch.stack([head(features.shared) for head in self.heads], dim=1)


class SumWeights(LossWeighting):
    def forward(self, losses):
        return WeightedLoss(losses.mean.sum(), torch.ones_like(losses.mean).detach())


class NormWeights(GramianWeighting):
    def forward(self, gramian, _):
        return 1 / gramian.diagonal().clamp(min=1e-12).sqrt()


class SumDirection(JacobianWeighting):
    def forward(self, jacobian, _):
        return SummedDirection(jacobian.sum(dim=0), torch.ones(len(jacobian)))


def draw_numbers(samples):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(samples, 3, generator=generator)
    train = Split(
        inputs=inputs,
        columns={
            "sign": Categorical((inputs[:, 0] > 0).long(), ("below", "above")),
            "sum": Numeric(inputs.sum(dim=1)),
        },
        ids=[str(number) for number in range(samples)],
    )
    return Data(train=train, validation=train.subset(torch.arange(4)))
