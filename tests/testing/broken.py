"""Components each of which breaks one promise. They are right otherwise, as far as that can be."""

import contextlib
import math
import random
import socket
import sys
import time
import types
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import broken_ops
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mtlkit.backbones import (
    Adapter,
    AdapterModule,
    Backbone,
    BackboneModule,
    FeatureSpec,
    MapFeatures,
    SplittableBackbone,
    TokenFeatures,
    VectorFeatures,
)
from mtlkit.callbacks import Callback, CallbackState, Logger, LogWriter
from mtlkit.component import Rule
from mtlkit.data import (
    Box,
    ClassTarget,
    DataSource,
    InputSpec,
    Labels,
    NumberTarget,
    Numeric,
    Target,
    Transform,
)
from mtlkit.errors import DataError
from mtlkit.evaluators import EvaluationResult, Evaluator
from mtlkit.heads import Head, HeadModule, LinearCrossEntropy, MultiLabel
from mtlkit.heads.multi_label import MultiLabelHead
from mtlkit.metrics import MAE, Accuracy, MeanState, Metric, MetricState
from mtlkit.optim import Optimizer, Schedule
from mtlkit.report.blocks import Section
from mtlkit.routers import (
    BlockBranch,
    Features,
    Grouped,
    GroupedRouter,
    Unbranched,
    UnbranchedRouter,
)
from mtlkit.routers.block_branch import BlockBranches
from mtlkit.task_types import MISSING
from mtlkit.testing import SmallData
from mtlkit.weightings import AfterStep, LossWeighting, WeightedLoss, Weighting

# --- values --------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Rate(Schedule):
    """A schedule that is right; the parent of those that are not."""

    def factor(self, progress):
        return 1.0


@attrs.frozen(kw_only=True)
class Undocumented(Rate):
    start: float = 1.0


@attrs.frozen(kw_only=True)
class Untyped(Rate):
    """An option that can be anything at all."""

    start: Any = 1.0


@attrs.frozen(kw_only=True)
class Melting(Rate):
    """Not frozen."""

    start: float = 1.0


Melting.__setattr__ = object.__setattr__


@attrs.frozen(kw_only=True, eq=False)
class Unequal(Rate):
    """Equal to nothing but itself."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return self is other


@attrs.frozen(kw_only=True)
class SharedDefault(Rate):
    """A mapping that all values have in common."""

    table: Mapping[str, float] = attrs.field(default={})


@attrs.frozen(kw_only=True)
class Forgetful(Rate):
    """A pickle that forgets the option."""

    start: float = 1.0

    def __reduce__(self):
        return (Forgetful, ())

    def __deepcopy__(self, memo):
        return self


@attrs.frozen(kw_only=True)
class Doubling(Rate):
    """What is written of it is read as twice as much."""

    start: float = attrs.field(default=1.0, converter=lambda value: value * 2)


@attrs.frozen(kw_only=True)
class WrongSchema(Rate):
    """A rule whose schema refuses what the rule accepts."""

    start: float = attrs.field(default=1.0, validator=Rule(lambda *_: None, {"maximum": 0}))


def only_here() -> type[Schedule]:
    """A component of a module that no other process has."""
    module = types.ModuleType("mtlkit_only_here")
    sys.modules[module.__name__] = module
    namespace = {"__doc__": "Only here.", "__module__": module.__name__, "factor": Rate.factor}
    module.OnlyHere = attrs.frozen(kw_only=True)(type("OnlyHere", (Schedule,), namespace))
    return module.OnlyHere


# --- modules -------------------------------------------------------------------------------------


class Trunk(BackboneModule):
    """A right backbone."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 4)
        self.features = VectorFeatures(width=4)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1))


class OfNoSeed(Trunk):
    def __init__(self):
        super().__init__()
        chance = torch.Generator()
        chance.seed()
        with torch.no_grad():
            self.layer.weight.uniform_(generator=chance)


class Unsaved(Trunk):
    def __init__(self):
        super().__init__()
        self.scale = torch.rand(()).item()

    def forward(self, inputs):
        return super().forward(inputs) * self.scale


class Tied(Trunk):
    def __init__(self):
        super().__init__()
        layer = self.layer
        self.say = lambda inputs: layer(inputs.flatten(1))

    def forward(self, inputs):
        return self.say(inputs)


class Restless(Trunk):
    def forward(self, inputs):
        return F.dropout(super().forward(inputs), 0.5, training=True)


class Neighbourly(Trunk):
    def forward(self, inputs):
        found = super().forward(inputs)
        return found - found.mean(dim=0)


class Idle(Trunk):
    def __init__(self):
        super().__init__()
        self.idle = nn.Parameter(torch.zeros(2))


class Overflowing(Trunk):
    def forward(self, inputs):
        found = super().forward(inputs)
        return found * math.inf if found.dtype == torch.bfloat16 else found


class Stuck(Trunk):
    def forward(self, inputs):
        return super().forward(inputs) + torch.ones(4, device="cpu")


class Meddling(Trunk):
    def __init__(self):
        super().__init__()
        random.seed(0)


class Calling(Trunk):
    def __init__(self):
        super().__init__()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()


class Alone(Trunk):
    building: ClassVar[list[int]] = []

    def __init__(self):
        super().__init__()
        if self.building:
            self.features = 1 / 0
        self.building.append(1)
        time.sleep(0.01)
        self.building.clear()


class Wavering(Trunk):
    def forward(self, inputs):
        found = super().forward(inputs)
        return found + 1 if found.sum() > 0 else found


class Narrow(Trunk):
    def __init__(self):
        super().__init__()
        self.features = VectorFeatures(width=5)


class Unsplit(SplittableBackbone):
    """The parts are not the whole."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 4)
        self.features = VectorFeatures(width=4)

    def forward(self, inputs):
        return super().forward(inputs) + 1

    def stem(self, inputs):
        return inputs.flatten(1)

    def tail(self, maps):
        return self.layer(maps)

    def new_tail(self):
        return nn.Linear(16, 4)


class InMemoryOrder(Trunk):
    def forward(self, inputs):
        return self.layer(torch.as_strided(inputs, (len(inputs), 16), (16, 1)))


class Wider(Trunk):
    def __init__(self):
        super().__init__()
        self.more = nn.Parameter(torch.zeros(1))

    def forward(self, inputs):
        return super().forward(inputs) + self.more


TRUNKS = (
    Trunk, OfNoSeed, Unsaved, Tied, Restless, Neighbourly, Idle, Overflowing, Stuck, Meddling,
    Calling, Alone, Wavering, Narrow, Unsplit, InMemoryOrder, Wider,
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Net(Backbone):
    """A backbone with the defect that `how` names."""

    how: str = "Trunk"

    def build(self, inputs):
        return {trunk.__name__: trunk for trunk in TRUNKS}[self.how]()

    def blank(self):
        return attrs.evolve(self, how="Trunk") if self.how == "Wider" else self


class CarelessModule(BackboneModule):
    """Every token is compared with the mean of all, padding included."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(9, 4)
        self.features = TokenFeatures(width=4)

    def forward(self, inputs):
        tokens = self.table(inputs["ids"])
        return tokens - tokens.mean(dim=1, keepdim=True)

    def context(self, inputs):
        return {"mask": inputs["mask"]}


@attrs.frozen(kw_only=True)
class Careless(Backbone):
    """A backbone that reads padding."""

    gives: ClassVar = TokenFeatures
    example_inputs: ClassVar = {
        "ids": InputSpec(shape=(6,), dtype="int64", vocabulary=9),
        "mask": InputSpec(shape=(6,), dtype="bool"),
    }

    def build(self, inputs):
        return CarelessModule()


# --- adapters ------------------------------------------------------------------------------------


class AdaptModule(AdapterModule):
    def __init__(self, how, features):
        super().__init__()
        self.how = how
        self.features = VectorFeatures(width=features.width + (how == "wide"))

    def forward(self, features, context):
        return features.mean(dim=(2, 3)) * (0.0 if self.how == "flat" else 1.0)


@attrs.frozen(kw_only=True)
class Adapt(Adapter):
    """An adapter with the defect that `how` names."""

    reads: ClassVar = (MapFeatures,)
    gives: ClassVar = VectorFeatures

    how: str = ""

    def build(self, features):
        return AdaptModule(self.how, features)


@attrs.frozen(kw_only=True)
class Undeclared(Adapt):
    """An adapter that does not state what it returns."""

    gives: ClassVar = None


# --- heads ---------------------------------------------------------------------------------------


class Guess(HeadModule):
    """A right head."""

    def __init__(self, features, classes):
        super().__init__()
        self.linear = nn.Linear(features, len(classes))

    def forward(self, features):
        return self.linear(features)

    def loss(self, features, target):
        logits = self(features).float()
        return F.cross_entropy(logits, target, ignore_index=MISSING, reduction="none")


class Extended(Guess):
    def forward(self, features):
        return super().forward(features).unsqueeze(1)

    def loss(self, features, target):
        logits = self.linear(features).float()
        return F.cross_entropy(logits, target, ignore_index=MISSING, reduction="none")


class Coarse(Guess):
    def loss(self, features, target):
        return super().loss(features, target).bfloat16()


class Charging(Guess):
    def loss(self, features, target):
        return super().loss(features, target.clamp(min=0))


class Decaying(Guess):
    def loss(self, features, target):
        right = super().loss(features, target)
        alone = not (target != MISSING).any()
        return right + self.linear.weight.square().sum() if alone else right


class Ascending(Guess):
    def loss(self, features, target):
        right = super().loss(features, target)
        return 2 * right.detach() - right


class Sharpened(Guess):
    """Its description to the fused op lacks the temperature of the loss."""

    def loss(self, features, target):
        logits = self(features).float() / 0.5
        return F.cross_entropy(logits, target, ignore_index=MISSING, reduction="none")

    def fusion(self):
        return LinearCrossEntropy(weight=self.linear.weight, bias=self.linear.bias)


GUESSES = (Guess, Extended, Coarse, Charging, Decaying, Ascending, Sharpened)


@attrs.frozen(kw_only=True)
class Guesser(Head):
    """A head with the defect that `how` names."""

    targets: ClassVar[tuple[type[Target], ...]] = (ClassTarget,)
    default_metrics: ClassVar[tuple[Metric, ...]] = (Accuracy(),)

    how: str = "Guess"

    def build(self, features, target):
        return {guess.__name__: guess for guess in GUESSES}[self.how](
            features.width, target.classes
        )


@attrs.frozen(kw_only=True)
class Mismeasured(Guesser):
    """A head whose default metric is one of numbers."""

    default_metrics: ClassVar[tuple[Metric, ...]] = (MAE(),)


@attrs.frozen(kw_only=True)
class Targetless(Guesser):
    """A head that names its target in a word."""

    targets: ClassVar[tuple[type[Target], ...]] = ("class",)


@attrs.frozen(kw_only=True)
class Summed(MultiLabel):
    """A head that adds the losses of the elements up."""

    def build(self, features, target):
        return SummedHead(self, features.width, target.names)


class SummedHead(MultiLabelHead):
    def loss(self, features, target):
        return super().loss(features, target) * (target != MISSING).sum(dim=1)


# --- targets -------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Amount(NumberTarget):
    """A number, as it should be."""


@attrs.frozen(kw_only=True)
class Headless(NumberTarget):
    """A number that no head predicts."""

    default_head: ClassVar[str] = "nothing"


@attrs.frozen(kw_only=True)
class Lax(NumberTarget):
    """A number that may be anything."""

    def check(self, labels):
        pass


@attrs.frozen(kw_only=True)
class Numbered(NumberTarget):
    """A number whose mask has numbers."""

    def present(self, labels):
        return super().present(labels).long()


# --- metrics -------------------------------------------------------------------------------------


def absolute(outputs, target):
    return (outputs - target).abs()


@attrs.frozen(kw_only=True)
class Moved(Transform):
    """The frame moved by a pixel, with the defect that `how` names."""

    how: str = ""

    def apply(self, sample, draw):
        top = draw.integer(0, 3)
        height, width = sample.frame
        if self.how == "refuses":
            raise DataError("not today")
        if self.how == "chance":
            top = random.randrange(height)
        if self.how == "in place":
            sample.inputs.add_(1)
        if self.how == "images":
            return sample.with_images(lambda image: image[:, :20])
        if self.how == "sizes":
            return sample.crop(Box(0, 0, height - top, width), (height - top, width))
        return sample.crop(Box(top, 0, height, width), (height, width))


@attrs.frozen(kw_only=True)
class Wordy(Moved):
    """A transform that says in a word whether it is random."""

    is_random: ClassVar[bool] = "yes"


@attrs.frozen(kw_only=True)
class Calm(Moved):
    """A random transform that declares no random numbers."""

    is_random: ClassVar[bool] = False


class OfMissing(MetricState):
    """The mean error, in which a missing target counts as an error of 1."""

    def __init__(self):
        self.errors = torch.zeros(0)

    def update(self, outputs, target):
        self.errors = torch.cat([self.errors, absolute(outputs, target).nan_to_num(1.0)])

    def merge(self, other):
        self.errors = torch.cat([self.errors, other.errors])

    def compute(self):
        return self.errors.mean().item() if len(self.errors) else None


class OfLast(MeanState):
    """The mean error, in which what is seen last counts most."""

    def update(self, outputs, target):
        self._sums[0] /= 2
        super().update(outputs.sort().values, target.sort().values)


class OfBatches(MetricState):
    """The mean of batch means."""

    def __init__(self):
        self.means = []

    def update(self, outputs, target):
        if (~target.isnan()).any():
            self.means.append(absolute(outputs, target).nanmean().item())

    def merge(self, other):
        self.means += other.means

    def compute(self):
        return sum(self.means) / len(self.means) if self.means else None


class OfOneRank(MeanState):
    def merge(self, other):
        pass


class OfPercents(MeanState):
    def compute(self):
        mean = super().compute()
        return mean if mean is None else -mean


class OfStrangers(MeanState):
    """The mean error, with a part that the target does not have."""

    def parts(self):
        return {"zebra": 1.0}


@attrs.frozen(kw_only=True)
class Offset(Metric):
    """A mean absolute error with the defect that `how` names."""

    name = "error"
    targets: ClassVar[tuple[type[Target], ...]] = (NumberTarget,)
    higher_is_better: ClassVar[bool] = False
    unit: ClassVar[str] = "label"
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    how: str = ""

    def build(self, target):
        states = {"OfMissing": OfMissing, "OfBatches": OfBatches}
        if self.how in states:
            return states[self.how]()
        means = {"OfLast": OfLast, "OfOneRank": OfOneRank, "OfPercents": OfPercents,
                 "OfStrangers": OfStrangers}  # fmt: skip
        return means.get(self.how, MeanState)(target, absolute)


@attrs.frozen(kw_only=True)
class Undirected(Offset):
    """A metric that says its direction in a word."""

    higher_is_better: ClassVar[bool] = "no"


@attrs.frozen(kw_only=True)
class Misdirected(Offset):
    """An error of which more is said to be better."""

    higher_is_better: ClassVar[bool] = True


# --- weightings ----------------------------------------------------------------------------------


class Sum(LossWeighting):
    """A right weighting."""

    def forward(self, losses):
        return WeightedLoss(losses.mean.sum(), torch.ones(len(losses.terms)))


class NoKind(nn.Module):
    def forward(self, losses):
        return WeightedLoss(losses.mean.sum(), torch.ones(len(losses.terms)))


class Undefined(Sum):
    def forward(self, losses):
        return WeightedLoss(losses.mean.sum(), torch.full((len(losses.terms),), torch.nan))


class Unused(Sum):
    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(2))


class Dividing(Sum):
    def forward(self, losses):
        total = (losses.per_sample.sum(dim=1) / losses.counts).sum()
        return WeightedLoss(total, torch.ones(len(losses.terms)))


class Aging(Sum):
    def __init__(self):
        super().__init__()
        self.steps = 0

    def forward(self, losses):
        self.steps += 1
        return WeightedLoss(losses.mean.sum() / self.steps, torch.ones(len(losses.terms)))


class Hoarding(Sum):
    def __init__(self):
        super().__init__()
        self.history = []

    def forward(self, losses):
        self.history.append(losses.mean)
        return super().forward(losses)


class Pairing(Sum):
    def forward(self, losses):
        mean = losses.mean
        return WeightedLoss(mean.sum() + mean[1] * 0, torch.ones(len(losses.terms)))


class Squaring(Sum):
    def forward(self, losses):
        return WeightedLoss(losses.mean.square().sum(), torch.ones(len(losses.terms)))


class Partial(Sum):
    """The first rank counts twice, on a whole that is not halved: right for one process only."""

    def forward(self, losses):
        mine = dist.get_rank() if dist.is_initialized() else 0
        return WeightedLoss(losses.mean.sum() * (1 + mine), torch.ones(len(losses.terms)))


class Ordered(Sum):
    def forward(self, losses):
        weights = torch.arange(1.0, len(losses.terms) + 1)
        return WeightedLoss((losses.mean * weights).sum(), weights)


class Laborious(Sum):
    def forward(self, losses):
        total = losses.mean.sum()
        for _ in range(4000):
            total = total + 0
        return WeightedLoss(total, torch.ones(len(losses.terms)))


class Counting(Sum):
    """Takes the number of labels for one of samples, which pixels exceed."""

    def forward(self, losses):
        weights = (losses.per_sample.shape[1] + 1 - losses.counts).sqrt()
        return WeightedLoss((losses.mean * weights).sum(), weights)


class Peeking(Sum):
    """Reads the losses of samples, which it does not declare."""

    def forward(self, losses):
        total = losses.per_sample.square().sum(dim=1) / losses.counts.clamp(min=1)
        return WeightedLoss(total.sum(), torch.ones(len(losses.terms)))


class Comparing(Sum, AfterStep):
    def after_step(self, before, after):
        pass


SUMS = (
    Sum, NoKind, Undefined, Unused, Dividing, Aging, Hoarding, Pairing, Squaring, Partial, Ordered,
    Laborious, Peeking, Counting, Comparing,
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Weigh(Weighting):
    """A weighting with the defect that `how` names."""

    how: str = "Sum"

    def build(self, terms, features):
        return {one.__name__: one for one in SUMS}[self.how]()


@attrs.frozen(kw_only=True)
class Proud(Weigh):
    """A weighting that says of itself what is not so."""

    @property
    def scale_free(self):
        return True


# --- routers and branches ------------------------------------------------------------------------


class Way(UnbranchedRouter):
    """A right router."""

    def __init__(self, wiring):
        super().__init__()
        self.backbone, self.tasks = wiring.backbone, wiring.tasks
        self.features = wiring.backbone.features

    def forward(self, inputs):
        return Features(self.backbone(inputs))


class Unjust(Way):
    def own_features(self, features, maps):
        return {self.tasks[0]: features * 2}


class Secluded(Way):
    """Makes features of its own with a module that it does not name."""

    def __init__(self, wiring):
        super().__init__(wiring)
        self.layer = nn.Linear(self.features.width, self.features.width)

    def own_features(self, features, maps):
        return dict.fromkeys(self.tasks, self.layer(features))


class Pretending(Way):
    def forward(self, inputs):
        found = self.backbone(inputs)
        return Features(found, per_task=dict.fromkeys(self.tasks, found))


class Choosy(Way):
    def forward(self, inputs):
        return Features(self.backbone.tail(self.backbone.stem(inputs)))


class Paired(Way):
    def __init__(self, wiring):
        super().__init__(wiring)
        self.second = wiring.tasks[1]


class Tiring(Way):
    def __init__(self, wiring):
        super().__init__(wiring)
        self.calls = 0

    def forward(self, inputs):
        self.calls += self.training
        return Features(self.backbone(inputs) / (1 + self.calls))


WAYS = (Way, Unjust, Secluded, Pretending, Choosy, Paired, Tiring)


@attrs.frozen(kw_only=True)
class Route(Unbranched):
    """A router with the defect that `how` names."""

    how: str = "Way"

    def build(self, wiring):
        return {way.__name__: way for way in WAYS}[self.how](wiring)


@attrs.frozen(kw_only=True)
class Worldly(Route):
    """A router of vectors that claims to read every kind of features."""

    reads: ClassVar = (FeatureSpec,)


@attrs.frozen(kw_only=True)
class Reversing(Route):
    """A router that turns the order of the terms."""

    def terms(self, terms):
        return terms[::-1]


class LopsidedRouter(GroupedRouter):
    def branch_outputs(self, features, logits, targets):
        found = super().branch_outputs(features, logits, targets)
        return {k: attrs.evolve(v, weights=v.weights * 2) for k, v in found.items()}


@attrs.frozen(kw_only=True)
class Lopsided(Grouped):
    """Branches whose weights sum to 2."""

    def build(self, wiring):
        return LopsidedRouter(self, wiring)


class ForgetfulBranches(BlockBranches):
    """Branches whose blocks share one buffer-free count, and which charge for nothing."""

    def loss(self, group, features, index, target):
        return super().loss(group, features, index, target.clamp(min=0))


@attrs.frozen(kw_only=True)
class Demanding(BlockBranch):
    """A branch that charges for missing labels."""

    def build(self, wiring, task, groups):
        return ForgetfulBranches(wiring, task, groups)


class HeedlessRouter(GroupedRouter):
    def branch_losses(self, features, targets):
        group = self.groups_of(targets[self.by])
        losses = features.shared.new_zeros(len(group))
        for number in range(len(self.groups)):
            index = (group == number).nonzero().squeeze(1)
            if len(index):
                own = self.branches.loss(number, features, index, targets[self.task][index])
                losses = losses.index_add(0, index, own)
        return {self.term: losses}


@attrs.frozen(kw_only=True)
class Heedless(Grouped):
    """An empty group leaves its branch without a gradient."""

    def build(self, wiring):
        return HeedlessRouter(self, wiring)


# --- data ----------------------------------------------------------------------------------------


class Sorting:
    """Samples come in the order of the data, whatever was asked for."""

    def __init__(self, inputs):
        self.inputs = inputs

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index.sort().values]


class Late:
    """Maps on access, with a code of no class."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((len(index), 16, 16), 2)


@attrs.frozen(kw_only=True)
class Feed(DataSource):
    """Data with the defect that `how` names."""

    how: str = ""

    def load(self, loading):
        data = SmallData().load(loading)
        train, test = data.train, data.test
        match self.how:
            case "scale":
                return attrs.evolve(data, mean=math.nan)
            case "order":
                return attrs.evolve(data, train=attrs.evolve(train, inputs=Sorting(train.inputs)))
            case "shape":
                return attrs.evolve(data, test=attrs.evolve(test, inputs=test.inputs[:, :, :8]))
            case "chance":
                inputs = torch.randint_like(train.inputs, 255)
                return attrs.evolve(data, train=attrs.evolve(train, inputs=inputs))
            case "workers":
                return attrs.evolve(data, test=None) if loading.workers == 2 else data
            case "twice":
                return attrs.evolve(data, test=data.validation)
            case "codes":
                columns = {**test.columns, "pixels": Labels(test.columns["pixels"].target, Late())}
                return attrs.evolve(data, test=attrs.evolve(test, columns=columns))
            case "kinds":
                columns = {**test.columns, "kind": Numeric(test.columns["kind"].codes.float())}
                return attrs.evolve(data, test=attrs.evolve(test, columns=columns))
        return data


# --- optimisers and schedules --------------------------------------------------------------------


class Secretive(torch.optim.SGD):
    """Keeps a count outside of its state."""

    count = 0

    def step(self, closure=None):
        self.count += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.sub_(parameter.grad, alpha=group["lr"] / self.count)


@attrs.frozen(kw_only=True)
class Step(Optimizer):
    """An optimiser with the defect that `how` names."""

    how: str = ""

    def build(self, groups):
        match self.how:
            case "up":
                return torch.optim.SGD(groups, lr=self.lr, maximize=True)
            case "flat":
                return torch.optim.SGD([p for group in groups for p in group["params"]], lr=self.lr)
            case "first":
                return torch.optim.SGD(groups[:1], lr=self.lr)
            case "decay":
                groups = [{**group, "weight_decay": 0.1} for group in groups]
                return torch.optim.SGD(groups, lr=self.lr)
            case "secret":
                return Secretive(groups, lr=self.lr)
        return torch.optim.SGD(groups, lr=self.lr)


@attrs.frozen(kw_only=True)
class Falling(Rate):
    """A factor below 0."""

    def factor(self, progress):
        return 0.5 - progress


CALLS: list[int] = []


@attrs.frozen(kw_only=True)
class Remembering(Rate):
    """A factor that depends on how often it was asked for."""

    def factor(self, progress):
        CALLS.append(1)
        return 1 / len(CALLS)


# --- evaluators and loggers ----------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Ask(Evaluator):
    """An evaluator with the defect that `how` names."""

    how: str = ""

    def evaluate(self, trained):
        match self.how:
            case "headline":
                return EvaluationResult(metrics={"a": 1.0}, headlines=("b",))
            case "chance":
                return EvaluationResult(metrics={"a": random.random()})
            case "training":
                trained.model.train()
            case "section":
                return EvaluationResult(sections=(Section(title="", blocks=()),))
        return EvaluationResult(metrics={"a": 1.0})


class Writer(LogWriter):
    def __init__(self, path, late):
        self.path, self.late, self.lines = path, late, []

    def write(self, event):
        self.lines.append(f"{event}\n")

    def flush(self):
        if not self.late:
            with self.path.open("a") as file:
                file.writelines(self.lines)
            self.lines = []

    def close(self):
        self.late = False
        self.flush()


@attrs.frozen(kw_only=True)
class Diary(Logger):
    """A logger with the defect that `how` names; none of them goes back to a step."""

    how: str = ""

    def open(self, folder, step):
        return Writer(folder / "diary.txt", self.how == "late")


class Act(CallbackState):
    """A state with the defect that `how` names."""

    def __init__(self, how, run):
        super().__init__(run)
        self.how, self.updates = how, 0

    @contextlib.contextmanager
    def around_backward(self, step):
        parameters = list(self.run.model.parameters()) if self.how in ("moves", "stays") else []
        for parameter in parameters:
            parameter.data += 1
        yield
        for parameter in parameters if self.how == "moves" else []:
            parameter.data -= 1

    def after_update(self, step):
        self.updates += 1
        if self.how == "chance":
            torch.rand(1)
        if self.how == "memory":  # it forgets in a resumed run
            for parameter in self.run.model.parameters():
                parameter.data.mul_(1 + 0.1 * self.updates)


@attrs.frozen(kw_only=True)
class Deed(Callback):
    """A callback with the defect that `how` names."""

    how: str = ""

    def build(self, run):
        return nn.Identity() if self.how == "kind" else Act(self.how, run)


@attrs.frozen(kw_only=True)
class Open(Deed):
    """A callback that states that it moves parameters."""

    moves_parameters: ClassVar[bool] = True


# --- what breaks what ----------------------------------------------------------------------------

ROUTES = {"task": "kind", "by": "side", "groups": {"l": ("left",), "r": ("right",)}}

BROKEN: dict[str, list[tuple[str, Any, str]]] = {
    "callbacks": [
        ("returns-a-callback-state", Deed(how="kind"), "build returned a Identity; expected a"),
        ("draws-no-random-numbers", Deed(how="chance"), "it draws random numbers"),
        ("declares-that-it-moves-parameters", Deed(how="moves"), "set it to True"),
        ("restores-moved-parameters", Open(how="stays"), "at other values than before"),
        ("resumes-exactly", Deed(how="memory"), "after a stop, "),
    ],
    "schedules": [
        ("is-documented", Undocumented(), "has no docstring"),
        ("has-typed-options", Untyped(), "a type that no recipe can contain"),
        ("is-frozen", Melting(), "can be assigned"),
        ("compares-by-value", Unequal(), "values with the same options are not equal"),
        ("shares-no-default", SharedDefault(), "all values share the default of 'table'"),
        ("pickles", Forgetful(start=2.0), "its pickle is not equal"),
        ("round-trips", Doubling(), "its YAML is read as another value"),
        ("matches-its-schema", WrongSchema(), "its schema rejects it: start: 1.0 is greater"),
        ("survives-spawn", only_here()(), "process cannot unpickle it: ModuleNotFoundError"),
        ("returns-finite-factors", Falling(), "the factor of step [26] is negative"),
        ("is-stateless", Remembering(), "a second call returns other factors"),
    ],
    "backbones": [
        ("same-seed-same-weights", Net(how="OfNoSeed"), "other values of layer.weight"),
        ("saves-and-loads", Net(how="Unsaved"), "keep state in buffers"),
        ("deep-copies", Net(how="Tied"), "a deep copy changes with the original"),
        ("evaluates-deterministically", Net(how="Restless"), "two evaluations of the same batch"),
        ("evaluates-samples-independently", Net(how="Neighbourly"), "outputs of a single sample"),
        ("trains-every-parameter", Net(how="Idle"), "no gradient reaches idle"),
        ("is-finite-in-bf16", Net(how="Overflowing"), "in bf16 it is not finite"),
        ("moves-to-a-device", Net(how="Stuck"), "meta"),
        ("leaves-global-state-unchanged", Net(how="Meddling"), "it changes Python's random state"),
        ("needs-no-network", Net(how="Calling"), "opens a network connection"),
        ("builds-in-threads", Net(how="Alone"), "ZeroDivisionError"),
        ("compiles", Net(how="Wavering"), "Unsupported"),
        ("exports", Net(how="Wavering"), ""),
        ("returns-the-declared-features", Net(how="Narrow"), "have width 4, expected 5"),
        ("ignores-padding", Careless(), "padding changes the features of tokens"),
        ("splits-into-stem-and-tail", Net(how="Unsplit"), "is not what forward computes"),
        ("accepts-channels-last", Net(how="InMemoryOrder"), "in channels last it differs"),
        ("builds-the-same-tensors-when-blank", Net(how="Wider"), "of other names or shapes"),
    ],
    "adapters": [
        ("declares-its-kinds", Undeclared(), "expected subclasses of FeatureSpec"),
        ("returns-the-declared-features", Adapt(how="wide"), "have width 8, expected 9"),
        ("has-finite-gradients", Adapt(how="flat"), "the gradient at maps is 0"),
    ],
    "heads": [
        ("declares-its-targets", Targetless(), "Targetless.targets is ('class',)"),
        ("returns-outputs-for-its-targets", Guesser(how="Extended"), "outputs are (1, 1, 3), not"),
        ("averages-the-present-elements", Summed(), "is not the mean of the losses of its present"),
        ("returns-a-loss-per-sample", Guesser(how="Coarse"), "losses are torch.bfloat16"),
        ("ignores-each-missing-target", Guesser(how="Charging"), "of a missing target is"),
        ("handles-a-batch-without-targets", Guesser(how="Decaying"), "changes linear"),
        ("declares-its-metrics", Mismeasured(), "'mae' does not measure a class"),
        ("learns", Guesser(how="Ascending"), "150 steps reduce its loss from"),
        ("returns-the-same-loss-when-fused", Guesser(how="Sharpened"), "describes another loss"),
    ],
    "targets": [
        ("declares-its-labels", Headless(), "its default head 'nothing' is not registered"),
        ("accepts-its-labels-only", Lax(), "`check` accepts labels of another shape"),
        ("masks-its-elements", Numbered(), "`present` returns torch.int64, not bool"),
    ],
    "metrics": [
        ("declares-its-scale", Undirected(), "higher_is_better is 'no'; expected True or False"),
        ("computes-a-number-within-its-bounds", Offset(how="OfPercents"), "is outside 0.0 to inf"),
        ("prefers-right-outputs", Misdirected(), "right outputs score 0, wrong ones"),
        ("names-its-parts", Offset(how="OfStrangers"), "it has a part 'zebra'"),
        ("ignores-missing-targets", Offset(how="OfMissing"), "a missing target changes its value"),
        ("ignores-the-order-of-samples", Offset(how="OfLast"), "in another order its value"),
        ("ignores-the-division-into-batches", Offset(how="OfBatches"), "in other batches its"),
        ("merges-over-ranks", Offset(how="OfOneRank"), "merged states differ from one state"),
    ],
    "weightings": [
        ("is-of-one-kind", Weigh(how="NoKind"), "NoKind must subclass LossWeighting"),
        ("returns-finite-weights", Weigh(how="Undefined"), "of kind, side, rare, size is not"),
        ("trains-its-parameters", Weigh(how="Unused"), "no gradient reaches unused"),
        ("handles-a-term-without-labels", Weigh(how="Dividing"), "finite"),
        ("trains-on-labels-of-every-type", Weigh(how="Counting"), "NotFiniteError: step 1"),
        ("resumes-exactly", Weigh(how="Aging"), "after a restore it differs in"),
        ("releases-the-graph", Weigh(how="Hoarding"), "tensors behind"),
        ("handles-one-task", Weigh(how="Pairing"), "IndexError"),
        ("accumulates-micro-batches", Weigh(how="Squaring"), "with two micro-batches it differs"),
        ("trains-equally-on-two-ranks", Weigh(how="Partial"), "two processes differ from one"),
        ("ignores-the-order-of-tasks", Weigh(how="Ordered"), "in another order it differs in"),
        ("is-scale-free-if-declared", Proud(), "ten times the loss of a task changes"),
        ("declares-comparisons", Weigh(how="Comparing"), "set it to True"),
        ("runs-few-operators", Weigh(how="Laborious"), "operators; expected at most 3000"),
        ("makes-the-same-updates-in-another-loop", Weigh(how="Peeking"), "in another loop it"),
    ],
    "routers": [
        ("keeps-the-terms-of-tasks", Reversing(), "the terms of tasks are changed"),
        ("returns-features-of-the-declared-widths", Route(how="Unjust"), "side, rare, size has no"),
        (
            "trains-on-every-kind-of-features",
            Worldly(how="Secluded"),
            "shapes cannot be multiplied",
        ),
        ("shares-features-if-declared", Route(how="Pretending"), "the loss of kind does not"),
        (
            "lists-modules-behind-the-features",
            Route(how="Secluded"),
            "of the features on layer.weight, layer.bias",
        ),
        ("normalizes-branch-weights", Lopsided(**ROUTES), "weights of the branches of kind do not"),
        ("handles-missing-labels", Heedless(**ROUTES), "DDP would deadlock"),
        ("accepts-any-backbone", Route(how="Choosy"), "AttributeError"),
        ("handles-one-task", Route(how="Paired"), "IndexError"),
        ("resumes-exactly", Route(how="Tiring"), "after a restore it differs in"),
    ],
    "data": [
        ("loads-training-samples", Feed(how="scale"), "cannot be normalized by (nan,)"),
        ("gathers-samples", Feed(how="order"), "are not those gathered one by one"),
        ("has-inputs-of-one-shape", Feed(how="shape"), "(1, 8, 16)"),
        ("loads-deterministically", Feed(how="chance"), "loaded again inputs of train differ"),
        ("ignores-cache-and-workers", Feed(how="workers"), "with two workers it has"),
        ("has-disjoint-splits", Feed(how="twice"), "is in validation and in test"),
        ("labels-splits-consistently", Feed(how="kinds"), "the label 'kind' is NumberTarget("),
        ("labels-fit-their-types", Feed(how="codes"), "'pixels' of test: expected codes from 0 to"),
    ],
    "transforms": [
        ("declares-whether-it-is-random", Wordy(), "Wordy.is_random is 'yes'; expected True or"),
        ("transforms-classes", Moved(how="refuses"), "it refuses a sample with a class"),
        ("repeats-its-numbers", Moved(how="chance"), "gives different samples in two calls"),
        ("draws-no-numbers-unless-random", Calm(), "other random numbers change the sample"),
        ("leaves-its-sample-unchanged", Moved(how="in place"), "it changes its sample in place"),
        ("returns-valid-labels", Moved(how="images"), "are (24, 32), not (20, 32)"),
        ("keeps-one-size", Moved(how="sizes"), "images have the sizes [(3, 2"),
    ],
    "optimizers": [
        ("descends", Step(how="up"), "5 steps change the loss from 5 to"),
        ("updates-every-group", Step(how="first"), "a group of parameters is left out"),
        ("uses-the-rate-of-each-group", Step(how="flat"), "a group with rate 0 changes"),
        ("uses-the-decay-of-each-group", Step(how="decay"), "without decay is changed"),
        ("resumes-exactly", Step(how="secret"), "after a restore it takes another step"),
    ],
    "evaluators": [
        ("returns-numbers", Ask(how="headline"), "the headline b is not a metric"),
        ("repeats-its-result", Ask(how="chance"), "two evaluations return different results"),
        ("leaves-the-model-unchanged", Ask(how="training"), "leaves the model in training mode"),
        ("returns-serializable-sections", Ask(how="section"), "has no title or no blocks"),
    ],
    "loggers": [
        ("flushes-to-disk", Diary(how="late"), "the folder of the run is empty after `flush`"),
        ("discards-events-after-the-checkpoint", Diary(), "its files differ from those of an"),
    ],
    "implementations": [
        ("says-what-it-is-of", broken_ops.Costly, "a cost is negative or not finite"),
        ("gives-what-the-definition-gives", broken_ops.Shifted, "the result is not that of the"),
        ("is-as-accurate-as-eager", broken_ops.Coarse, "in torch.float32 the result is off by"),
        ("bears-an-empty-batch", broken_ops.Unprepared, "IndexError"),
        ("a-missing-label-costs-nothing", broken_ops.Charging, "a gradient flows to a row"),
        ("can-go-backward-twice", broken_ops.Consuming, "a second backward pass finds other"),
        ("gives-no-wrong-second-derivative", broken_ops.Flat, "a second derivative is wrong"),
        ("gives-no-wrong-tangent", broken_ops.Tangentless, "refuse requests with the option"),
        ("leaves-its-inputs-alone", broken_ops.Scribbling, "it changes its inputs"),
        ("can-be-traced", broken_ops.Peeking, "data-dependent"),
        ("can-be-exported", broken_ops.Peeking, ""),
    ],
    "ops": [
        ("says-what-it-is-of", broken_ops.Priceless, "a cost is negative or not finite"),
        ("has-a-definition-with-right-gradients", broken_ops.Misleading, "Jacobian mismatch"),
    ],
}  # fmt: skip
"""For each family: the check that notices, the broken value, and what the check says."""
