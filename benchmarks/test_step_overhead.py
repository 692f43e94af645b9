"""Measure the overhead of a training step of mtlkit over the same step in plain PyTorch.

Both train the same network on the same batches: CASIA-net of half width on 48x48 images, a main and
two side tasks, SGD. The two steps alternate in one process, so that other load affects both. The
reported value is the median of the ratios of pairs. Run

    python -m pytest benchmarks/test_step_overhead.py -s
"""

import statistics
import time

import attrs
import torch
import torch.nn.functional as F
from torch import nn

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import CasiaNet
from mtlkit.data import Categorical, Data, DataSource, Loading, Split
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


def seconds(update, step):
    # with one thread this is wall time without the time of other processes
    start = time.process_time()
    update(step)
    return time.process_time() - start


def times(recipe, pairs=PAIRS):
    """Return pairs of times of a step, by mtlkit and by hand."""
    ours, _, _ = by_mtlkit(recipe)
    plain = by_hand(recipe)
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


def test_a_step_costs_at_most_three_percent_more():
    torch.set_num_threads(1)
    for precision in ("fp32", "bf16"):
        recipe = attrs.evolve(RECIPE, train=attrs.evolve(RECIPE.train, precision=precision))
        measured = times(recipe)
        ratio = statistics.median(one / other for one, other in measured)
        ours = statistics.median(one for one, _ in measured)
        print(f"{precision}: {ours * 1e3:.2f} ms a step, {ratio:.4f}x plain PyTorch")
        assert ratio <= LIMIT
