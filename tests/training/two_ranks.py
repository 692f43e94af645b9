"""Run by torchrun in two processes: trains every case of `test_ranks.py` a few updates.

Usage: two_ranks.py FOLDER
"""

import sys
from pathlib import Path

import attrs
import loops
import points
import torch
from safetensors.torch import save_file
from schemes import SCHEMES

from mtlkit import GroupedBatches
from mtlkit.callbacks import SAM
from mtlkit.errors import AssemblyError, NotFiniteError
from mtlkit.optim import SGD
from mtlkit.training.checkpoint import tensors_of
from mtlkit.training.devices.ranks import process_group
from mtlkit.weightings import Dynamic

UPDATES = 8  # of 3 in an epoch, so that weights of the third epoch are reached
OF_EACH_KIND = (
    "dwa", "famo", "pcgrad", "mgda at parameters", "db-mtl with momentum", "modo", "auto-lambda"
)  # fmt: skip


def cases():
    """Every weighting over two ranks, and over two micro-batches of each too.

    In updates of 17 samples some ranks are without the label of a task.
    """
    plain = attrs.evolve(points.PLAIN, optimizer=SGD(lr=0.05, momentum=0.9, weight_decay=0.01))
    mine = {"by-norm": points.ByNorm(), "unit-sum": points.UnitSum()}
    for name, weighting in {**SCHEMES, **mine}.items():
        for parts in (1, 2):
            train = attrs.evolve(plain.train, batch=17, accumulate=parts, clip_norm=1.0)
            key = f"{name.replace(' ', '-').replace('/', '-')}-{parts}"
            yield key, attrs.evolve(plain, weighting=weighting, train=train)
    for name in OF_EACH_KIND:
        key = name.replace(" ", "-")
        recipe = attrs.evolve(plain, weighting=SCHEMES[name], backbone=points.MLP(hidden=(8, 8)))
        train = attrs.evolve(plain.train, batch=17)
        yield f"frozen-{key}", attrs.evolve(recipe, train=train)
        recomputed = attrs.evolve(train, checkpoint_activations=True)
        yield f"checkpointed-{key}", attrs.evolve(recipe, train=recomputed)
        for precision in ("bf16", "fp16"):
            half = attrs.evolve(train, precision=precision)
            yield f"{precision}-{key}", attrs.evolve(recipe, train=half)
    for name in ("equal", "pcgrad at parameters", "modo"):
        lazy = attrs.evolve(
            points.DENSE, data=points.Elements(lazy=True), optimizer=plain.optimizer
        )
        train = attrs.evolve(plain.train, batch=14, accumulate=2)
        key = f"elements-{name.replace(' ', '-')}"
        yield key, attrs.evolve(lazy, weighting=SCHEMES[name], train=train)
    for key, batches in {
        "by-task": GroupedBatches(),
        "by-task-apart": GroupedBatches(separate=True),
        "alternating": GroupedBatches(alternate=True),
    }.items():
        train = attrs.evolve(plain.train, batch=24, accumulate=2, batches=batches)
        yield key, attrs.evolve(plain, weighting=SCHEMES["pcgrad"], train=train)
    for name in ("equal", "pcgrad", "mgda at parameters", "modo"):
        train = attrs.evolve(plain.train, batch=17, accumulate=2)
        sharp = attrs.evolve(plain, weighting=SCHEMES[name], callbacks=(SAM(rho=0.1),))
        yield f"sam-{name.replace(' ', '-')}", attrs.evolve(sharp, train=train)
    compiled = attrs.evolve(plain.train, batch=17, compile=True)
    yield "compiled-pcgrad", attrs.evolve(plain, weighting=SCHEMES["pcgrad"], train=compiled)
    grouped = attrs.evolve(plain, router=points.GROUPED, weighting=Dynamic())
    yield "grouped-1", attrs.evolve(grouped, train=attrs.evolve(plain.train, batch=4))


def train(name, recipe, ranks=None):
    """The updater and its logged means, after some updates."""
    compile_ = torch.nn.Module.compile
    torch.nn.Module.compile = lambda module: compile_(module, backend="aot_eager")
    made = points.updater(recipe, ranks)
    torch.nn.Module.compile = compile_
    if name.startswith("frozen"):
        made.inner.model.router.backbone.layers[1].bias.requires_grad_(False)
        made = points.rebuilt(made)
    for step in range(UPDATES):
        made.update(step)
    return made, (*made.meter.gradients(), *made.meter.read())


def without_label(recipe, ranks):
    """How often this rank had no label of `rare` while another rank had one."""
    made = points.updater(recipe, ranks)
    rare = made.context.targets["train"]["rare"]
    rare = made.inner.model.assembly.targets["rare"].weights(rare[torch.arange(len(rare))])
    found = 0
    for step in range(UPDATES):
        batch = made.batches.update(step, ranks.rank)
        own = torch.cat(batch.micro_batches)
        found += bool((rare[batch.whole] > 0).any() and not (rare[own] > 0).any())
    return torch.tensor(float(found))


def failures(ranks):
    """What both ranks say where only one of them meets the broken sample, and of a frozen trunk."""
    made = points.updater(attrs.evolve(points.PLAIN, data=points.Points(broken=0)), ranks)
    said = ""
    try:
        for step in range(4):
            made.update(step)
    except NotFiniteError as error:
        said = f"{error.step}:{','.join(error.ids)}"
    made = points.updater(points.PLAIN, ranks)
    made.inner.model.register_parameter("idle", torch.nn.Parameter(torch.zeros(2)))
    try:
        made.update(0)
    except AssemblyError as error:
        said += f"|{error}"
    return said


def work(folder: Path, ranks) -> None:
    """Train every case and write what came of it; no module outlives this function."""
    lonely = 0.0
    for name, recipe in cases():
        lonely += ranks.sum(without_label(recipe, ranks)).item()
        made, means = train(name, recipe, ranks)
        save_file(tensors_of(made.inner), folder / f"{name}.{ranks.rank}.safetensors")
        (folder / f"{name}.{ranks.rank}.means").write_text(repr(means))
    for name, recipe in loops.cases_of_ranks():
        save_file(loops.trained(recipe, ranks), folder / f"{name}.{ranks.rank}.safetensors")
    (folder / f"lonely.{ranks.rank}").write_text(str(lonely))
    (folder / f"failures.{ranks.rank}").write_text(failures(ranks))


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")) as ranks:
        assert ranks.world == 2
        work(folder, ranks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
