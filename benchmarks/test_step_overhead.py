"""Measure the overhead of a training step of mtlkit over the same step in plain PyTorch.

Both train the same network on the same batches with SGD: CASIA-net of half width on 48x48 images, a
main and two side tasks of classes; and a U-Net of 32 channels on 64x64 images with classes, depth
and normals of each pixel, a tenth of which have no label. The two steps alternate in one process,
so that other load affects both. The reported value is the median of the ratios of pairs. Run

    python -m pytest benchmarks/test_step_overhead.py -s
"""

import statistics
import time

import attrs
import torch
import torch.nn.functional as F
from torch import nn

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import CasiaNet, UNet
from mtlkit.data import (
    Categorical,
    ClassMapTarget,
    Data,
    DataSource,
    Labels,
    Loading,
    RealMapTarget,
    Split,
    UnitVectorMapTarget,
)
from mtlkit.heads import DenseRegression, Normals, Segmentation
from mtlkit.model import assemble
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.progress import Silence
from mtlkit.training.update import Updater
from mtlkit.weightings import Equal

LIMIT = 1.03
PAIRS = 40
BATCH = 32
CLASSES = {"who": 200, "yaw": 13, "light": 20}


@attrs.frozen(kw_only=True)
class Noise(DataSource):
    """Random images with random labels."""

    samples: int = 640

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randint(
            0, 256, (self.samples, 1, 48, 48), dtype=torch.uint8, generator=generator
        )
        columns = {
            name: Categorical(
                torch.randint(0, count, (self.samples,), generator=generator),
                tuple(str(code) for code in range(count)),
            )
            for name, count in CLASSES.items()
        }
        ids = [str(number) for number in range(self.samples)]
        return Data(train=Split(inputs=inputs, columns=columns, ids=ids))


RECIPE = Recipe(
    data=Noise(),
    backbone=CasiaNet(width=0.5),
    tasks={name: Task(role=Role.MAIN if name == "who" else Role.SIDE) for name in CLASSES},
    weighting=Equal(total=0.1),
    optimizer=SGD(lr=0.01, weight_decay=5e-4),
    train=Train(batch=BATCH, device="cpu"),
)


def by_mtlkit(recipe):
    """Return a function that makes update `step` with mtlkit, the model and the data."""
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    context = TrainingContext(
        recipe=recipe, data=data, folder=None, checkpoints=None, device=torch.device("cpu"),
        targets={"train": encode_targets(data.train, recipe.tasks, assembly)},
        ranks=Ranks(), progress=Silence(),
    )  # fmt: skip
    weighting = recipe.weighting.build(model.terms, model.router.features.width)
    updater = Updater(model, weighting, context)
    return updater.update, model, data


class ByHand(nn.Module):
    """The same network, written for these three tasks."""

    def __init__(self, model):
        super().__init__()
        self.backbone = model.router.backbone
        self.heads = nn.ModuleDict({name: model.head(name).linear for name in CLASSES})

    def forward(self, images):
        x = (images.float() - 127.5) / 128
        features = self.backbone(x.contiguous(memory_format=torch.channels_last))
        return {name: head(features) for name, head in self.heads.items()}


def by_hand(recipe):
    """Return a function that makes update `step` in plain PyTorch."""
    _, model, data = by_mtlkit(recipe)  # the same weights
    net = ByHand(model).to(memory_format=torch.channels_last)
    weights = {"who": 1.0, "yaw": 0.05, "light": 0.05}
    targets = {name: data.train.columns[name].codes for name in CLASSES}
    decayed = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": 5e-4}, {"params": others}], lr=0.01, momentum=0.9
    )
    order = torch.randperm(len(data.train))
    autocast = recipe.train.precision == "bf16"

    def update(step):
        index = order[(step * BATCH) % len(order) :][:BATCH]
        images = data.train.inputs[index]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = net(images)
            losses = {n: F.cross_entropy(logits[n].float(), targets[n][index]) for n in CLASSES}
        total = sum(weights[name] * loss for name, loss in losses.items())
        optimizer.zero_grad()
        total.backward()
        if not total.isfinite():
            raise FloatingPointError(step)
        optimizer.step()

    return update


@attrs.frozen(kw_only=True)
class NoiseMaps(DataSource):
    """Random images with a class, a depth and a normal of most pixels."""

    samples: int = 160

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(0)
        shape = (self.samples, 64, 64)
        gone = torch.rand(shape, generator=generator) < 0.1
        normals = F.normalize(torch.randn(self.samples, 3, 64, 64, generator=generator))
        depth = torch.rand(shape, generator=generator).masked_fill(gone, torch.nan)
        classes = torch.randint(0, 13, shape, generator=generator).masked_fill(gone, -1)
        images = torch.randint(
            0, 256, (self.samples, 3, 64, 64), dtype=torch.uint8, generator=generator
        )
        columns = {
            "classes": Labels(ClassMapTarget(names=tuple(map(str, range(13)))), classes),
            "depth": Labels(RealMapTarget(), depth.unsqueeze(1)),
            "normals": Labels(UnitVectorMapTarget(), normals * ~gone.unsqueeze(1)),
        }
        ids = [str(number) for number in range(self.samples)]
        return Data(train=Split(inputs=images, columns=columns, ids=ids))


MAPS = attrs.evolve(
    RECIPE,
    data=NoiseMaps(),
    backbone=UNet(channels=32),
    tasks={
        "classes": Task(head=Segmentation(hidden=(32,))),
        "depth": Task(head=DenseRegression(hidden=(32,))),
        "normals": Task(head=Normals(hidden=(32,))),
    },
    weighting=Equal(),
    train=Train(batch=8, device="cpu"),
)


def maps_by_hand(recipe):
    """Return a function that makes update `step` of `MAPS` in plain PyTorch."""
    _, model, data = by_mtlkit(recipe)  # the same weights
    net = model.router.backbone.to(memory_format=torch.channels_last)
    heads = nn.ModuleDict({name: model.head(name).layers for name in recipe.tasks})
    heads.to(memory_format=torch.channels_last)
    parameters = [*net.parameters(), *heads.parameters()]
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": 5e-4},
            {"params": [p for p in parameters if p.dim() <= 1]},
        ],
        lr=0.01,
        momentum=0.9,
    )
    classes, depth, normals = (data.train.columns[name].rows for name in recipe.tasks)
    order = torch.randperm(len(data.train))

    def update(step):
        index = order[(step * 8) % len(order) :][:8]
        images = (data.train.inputs[index].float() - 127.5) / 128
        features = net(images.contiguous(memory_format=torch.channels_last))
        first = F.cross_entropy(heads["classes"](features), classes[index], ignore_index=-1)
        target = depth[index]
        known = ~target.isnan()
        error = heads["depth"](features) - target.nan_to_num()
        second = (error.abs() * known).sum() / known.sum()
        vectors, target = F.normalize(heads["normals"](features)), normals[index]
        valid = (target != 0).any(dim=1)
        third = ((1 - (vectors * target).sum(dim=1)) * valid).sum() / valid.sum()
        total = first + second + third
        optimizer.zero_grad()
        total.backward()
        if not total.isfinite():
            raise FloatingPointError(step)
        optimizer.step()

    return update


def seconds(update, step):
    # with one thread this is wall time without the time of other processes
    start = time.process_time()
    update(step)
    return time.process_time() - start


def times(recipe, plain_of=by_hand, pairs=PAIRS):
    """Return pairs of times of a step, by mtlkit and by hand."""
    ours, _, _ = by_mtlkit(recipe)
    plain = plain_of(recipe)
    for step in range(5):
        ours(step)
        plain(step)
    measured = []
    for step in range(pairs):
        if step % 2:
            by_us, alone = seconds(ours, step), seconds(plain, step)
        else:
            alone, by_us = seconds(plain, step), seconds(ours, step)
        measured.append((by_us, alone))
    return measured


def report(name, measured):
    """Print the time of a step, and return its ratio to that by hand."""
    ratio = statistics.median(one / other for one, other in measured)
    ours = statistics.median(one for one, _ in measured)
    print(f"{name}: {ours * 1e3:.2f} ms a step, {ratio:.4f}x plain PyTorch")
    return ratio


def test_a_step_costs_at_most_three_percent_more():
    torch.set_num_threads(1)
    for precision in ("fp32", "bf16"):
        recipe = attrs.evolve(RECIPE, train=attrs.evolve(RECIPE.train, precision=precision))
        assert report(precision, times(recipe)) <= LIMIT


def test_a_step_on_maps_costs_at_most_three_percent_more():
    torch.set_num_threads(1)
    assert report("maps", times(MAPS, maps_by_hand, pairs=20)) <= LIMIT
