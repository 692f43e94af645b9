"""A component of every family, in the words of the plugin API 1.0."""

from typing import ClassVar

import attrs

from mtlkit.backbones.configs import Backbone
from mtlkit.config import Problem, above, at_least
from mtlkit.data.configs import DataSource
from mtlkit.evaluation.configs import Evaluator, Findings
from mtlkit.heads.configs import Head
from mtlkit.loggers.configs import Logger, LogWriter
from mtlkit.optim.configs import Optimizer, Schedule
from mtlkit.report.blocks import Section, Table
from mtlkit.routing.configs import Branch, Router
from mtlkit.vocabulary import Kind
from mtlkit.weighting.configs import GradientWeighting, Weighting


@attrs.frozen(kw_only=True)
class Trunk(Backbone):
    """One fully connected layer."""

    width: int = attrs.field(default=8, validator=at_least(1))

    def build(self, sample_shape):
        from mtlkit_first.modules import TrunkModule

        return TrunkModule(self.width, sample_shape)


@attrs.frozen(kw_only=True)
class Absolute(Head):
    """A number, by its absolute error."""

    kind: ClassVar[Kind] = Kind.REGRESSION

    def build(self, features, classes):
        from mtlkit_first.modules import AbsoluteHead

        return AbsoluteHead(features)


@attrs.frozen(kw_only=True)
class Plain(Router):
    """Every head sees the features."""

    def build(self, wiring):
        from mtlkit_first.modules import PlainRouter

        return PlainRouter(wiring.backbone)

    def terms(self, terms):
        return terms

    def problems(self, terms):
        return () if terms else [Problem(("routing",), "expected a task")]


@attrs.frozen(kw_only=True)
class Linear(Branch):
    """A head of its own for each group."""

    def build(self, wiring, task, groups):
        from mtlkit_first.modules import LinearBranches

        return LinearBranches(wiring, task, groups)


@attrs.frozen(kw_only=True)
class Sum(Weighting):
    """The plain sum."""

    def build(self, terms, features):
        from mtlkit_first.modules import SumWeights

        return SumWeights()


@attrs.frozen(kw_only=True)
class Norms(GradientWeighting):
    """Inverse gradient norms."""

    def build(self, terms, features):
        from mtlkit_first.modules import NormWeights

        return NormWeights()


@attrs.frozen(kw_only=True)
class Direction(GradientWeighting):
    """The summed gradient."""

    def build(self, terms, features):
        from mtlkit_first.modules import SumDirection

        return SumDirection()


@attrs.frozen(kw_only=True)
class Numbers(DataSource):
    """Random numbers with a class and a number that follow from them."""

    samples: int = attrs.field(default=24, validator=at_least(4))

    def load(self, loading):
        from mtlkit_first.modules import numbers

        return numbers(self.samples)


@attrs.frozen(kw_only=True)
class Descent(Optimizer):
    """Plain descent."""

    def build(self, groups):
        from torch.optim import SGD

        return SGD(groups, lr=self.lr)


@attrs.frozen(kw_only=True)
class Falling(Schedule):
    """Falls to zero."""

    power: float = attrs.field(default=1.0, validator=above(0))

    def factor(self, progress):
        return (1 - progress) ** self.power


@attrs.frozen(kw_only=True)
class Count(Evaluator):
    """How many samples there are."""

    def evaluate(self, trained):
        size = len(trained.data.train)
        said = trained.predict(trained.data.train)
        table = Table(header=("split", "samples"), rows=(("train", size),))
        return Findings(
            metrics={"first/samples": float(size), "first/features": float(said.features.shape[1])},
            headlines=("first/samples",),
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
