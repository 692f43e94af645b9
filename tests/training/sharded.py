"""Run by processes of a test: trains recipes with a head or a backbone divided among them.

Usage: sharded.py KIND FOLDER RANK WORLD
"""

import importlib
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from unittest import mock

import attrs
import points
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from schemes import SCHEMES

from mtlkit.backbones import MLP, CasiaNet, VectorFeatures
from mtlkit.callbacks import EMA, BestWeights, EarlyStopping
from mtlkit.data import Categorical, ClassTarget, Data, DataSource, Loading
from mtlkit.errors import InterruptedRunError
from mtlkit.heads import Margin
from mtlkit.ops import RowShard
from mtlkit.optim import SGD, AdamW
from mtlkit.plugins.catalog import Registrar
from mtlkit.plugins.registry import Origin
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.loop import Training
from mtlkit.training.sharding.whole_model import local_part, whole_state
from mtlkit.training.update import Updater

run_fit = importlib.import_module("mtlkit.runs.fit")  # a function has the same name
UPDATES = 3
CLASSES = 131  # not a multiple of 64 blocks


@attrs.frozen(kw_only=True)
class People(DataSource):
    """The images of `Points` with an identity each, some of which are missing."""

    def load(self, loading: Loading) -> Data:
        data = points.Points().load(loading)
        codes = torch.arange(len(data.train)) * 7 % CLASSES
        codes[::6] = -1
        names = tuple(f"person {i}" for i in range(CLASSES))
        column = {"who": Categorical(codes, names)}
        train = attrs.evolve(data.train, columns={**data.train.columns, **column})
        return Data(train=train, validation=train.subset(torch.arange(10)))


def with_head(**options):
    """The recipe with a margin head for `who`; updates of 17 samples, uneven over ranks."""
    head = Margin(scale=8.0, **options)
    return attrs.evolve(
        points.PLAIN,
        data=People(),
        tasks={**points.TASKS, "who": Task(role=Role.MAIN, head=head)},
        optimizer=SGD(lr=0.05, momentum=0.9, weight_decay=0.01),
        train=attrs.evolve(points.PLAIN.train, batch=17, clip_norm=1.0),
    )


def with_train(recipe, **options):
    return attrs.evolve(recipe, train=attrs.evolve(recipe.train, **options))


def head_cases():
    sharded = with_head(shard=True)
    for name, weighting in SCHEMES.items():
        yield name.replace(" ", "-").replace("/", "-"), attrs.evolve(sharded, weighting=weighting)
    sampled = with_head(shard=True, sample=0.2)
    yield "sampled", sampled
    yield "sampled-pcgrad", attrs.evolve(sampled, weighting=SCHEMES["pcgrad"])
    lazy = with_head(shard=True, sample=0.2, lazy=True)
    yield "lazy", lazy
    yield "lazy-pcgrad", attrs.evolve(lazy, weighting=SCHEMES["pcgrad"])
    yield "lazy-adamw", attrs.evolve(lazy, optimizer=AdamW(lr=0.01, weight_decay=0.1))
    yield "adaptive", with_head(shard=True, adaptive=True)
    yield "accumulated", with_train(sharded, accumulate=2)
    yield (
        "accumulated-pcgrad",
        attrs.evolve(with_train(sharded, accumulate=2), weighting=SCHEMES["pcgrad"]),
    )
    yield "accumulated-lazy", with_train(lazy, accumulate=2)
    yield "bf16", with_train(sharded, precision="bf16")


def backbone_cases():
    plain = attrs.evolve(
        points.PLAIN,
        backbone=MLP(hidden=(12, 8)),
        optimizer=SGD(lr=0.05, momentum=0.9, weight_decay=0.01),
        train=attrs.evolve(points.PLAIN.train, batch=16, clip_norm=1.0, shard="backbone"),
    )
    for name, weighting in SCHEMES.items():
        recipe = attrs.evolve(plain, weighting=weighting)
        if not recipe.problems():  # only gradients at features
            yield name.replace(" ", "-").replace("/", "-"), recipe
    yield "adamw", attrs.evolve(plain, optimizer=AdamW(lr=0.01, weight_decay=0.1))
    yield "accumulated", with_train(plain, accumulate=2)
    yield "compiled", with_train(plain, compile=True)
    # statistics of batch norm and dropout are those of a rank
    yield "casia", attrs.evolve(plain, backbone=CasiaNet(width=0.05, dropout=0.4))
    yield "bf16", with_train(plain, precision="bf16")


def trained(recipe, ranks, steps=UPDATES):
    """The updater after some updates."""
    compile_ = torch.nn.Module.compile
    torch.nn.Module.compile = lambda module: compile_(module, backend="aot_eager")
    made = points.updater(recipe, ranks)
    torch.nn.Module.compile = compile_
    for step in range(steps):
        made.update(step)
    return made


def loss_cases():
    """Options of a head, and a batch of features, targets and weights of samples in float64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(22, 8, generator=generator, dtype=torch.float64)
    target = torch.randint(1003, (22,), generator=generator)
    target[5] = -1
    target[11:] = -1  # no label on the last ranks
    weights = torch.rand(22, generator=generator, dtype=torch.float64)
    full = torch.randint(16, (22,), generator=generator)  # of two blocks, more than are drawn
    for name, options in {
        "arcface": {},
        "cosface": {"angle": 0.0, "additive": 0.35},
        "adaptive": {"adaptive": True},
        "easy": {"easy_margin": True},
        "multiplied": {"angle": 0.0, "multiplier": 1.3},
        "sampled": {"sample": 0.1},
        "lazy": {"sample": 0.1, "lazy": True},
    }.items():
        yield name, (options, (x, target, weights))
        yield f"{name}-crowded", (options, (x, full, weights))


def loss_and_gradients(case, start=None, ranks=None):
    """This rank's losses, gradients of features, and the whole directions and their gradient."""
    options, (x, target, weights) = case
    ranks = ranks or Ranks()
    torch.manual_seed(3)
    target_type = ClassTarget(names=tuple(map(str, range(1003))))
    head = Margin(**{"shard": True, **options}).build(VectorFeatures(width=8), target_type).double()
    if start is not None:
        head.directions.data.copy_(start["directions"])
    own = torch.arange(len(x)).tensor_split(ranks.world)[ranks.rank]
    features = x[own].clone().requires_grad_()
    loss = head.loss(features, target[own])
    (ranks.world * (loss * weights[own]).sum()).backward()
    gradient = head.directions.grad
    gradient = gradient.to_dense() if gradient.is_sparse else gradient
    cpu = torch.device("cpu")
    shard = head.row_shards().get("directions", RowShard(1003))
    return {
        "loss": loss.detach(),
        "features": features.grad / ranks.world,
        "directions": shard.gather(head.directions.data, cpu),
        "gradient": shard.gather(gradient, cpu),
        "running": head.running,
    }


def run_cases():
    """Recipes of whole runs, whose checkpoints hold every kind of divided state."""
    head = with_head(shard=True, sample=0.2, lazy=True)
    head = attrs.evolve(
        with_train(head, steps=6, checkpoint_every=2),
        optimizer=AdamW(lr=0.01, weight_decay=0.1),
        callbacks=(EMA(decay=0.5), BestWeights()),
    )
    yield "head", head
    backbone = dict(backbone_cases())["pcgrad"]
    yield "backbone", with_train(backbone, steps=6, checkpoint_every=2)
    both = attrs.evolve(head, callbacks=(EarlyStopping(),))
    yield "both", with_train(both, shard="backbone")


def catalog():
    result = points.catalog()
    own = Registrar(result, "", Origin("sharded", "0", __file__))
    own.data.add("people", People, "random images with identities")
    own.commit()
    return result


def run_and_resume(folder, recipe):
    """Run a recipe to its end, and again with an interruption after its second checkpoint."""
    known = catalog()
    run_fit.fit(recipe, folder / "straight", catalog=known, quiet=True)
    update = Updater.update

    def interrupted(self, step, *rest):
        if step == 5:
            raise KeyboardInterrupt
        return update(self, step, *rest)

    Updater.update = interrupted
    try:
        run_fit.fit(recipe, folder / "resumed", catalog=known, quiet=True)
    except InterruptedRunError:
        pass
    finally:
        Updater.update = update
    run_fit.resume(folder / "resumed", catalog=known, quiet=True)


def until(folder, recipe, stop):
    """Begin the run in `folder`, or continue it with other processes, up to the update `stop`."""
    known = catalog()
    update = Updater.update

    def stopped(self, step, *rest):
        if step == stop:
            raise KeyboardInterrupt
        return update(self, step, *rest)

    Updater.update = stopped
    try:
        if (folder / "recipe.yaml").exists():
            run_fit.resume(folder, catalog=known, quiet=True, accept=("ranks",))
        else:
            run_fit.fit(recipe, folder, catalog=known, quiet=True)
    except InterruptedRunError:
        pass
    finally:
        Updater.update = update


def rewritten(folder):
    """Load the newest checkpoint of the run in `folder`, and write it anew with these processes."""
    run = Training.run

    def save(self):
        self._saved = None
        self._save()
        raise KeyboardInterrupt

    Training.run = save
    try:
        run_fit.resume(folder, catalog=catalog(), quiet=True, accept=("ranks",))
    except InterruptedRunError:
        pass
    finally:
        Training.run = run


def operations(ranks):
    """The collective operations of the loss and of its gradient, for batches of some sizes."""
    names = []

    def recorded(name):
        plain = getattr(dist, name)

        def call(*arguments, **options):
            names.append(name)
            return plain(*arguments, **options)

        return mock.patch.object(dist, name, call)

    target_type = ClassTarget(names=tuple(map(str, range(64))))
    head = Margin(shard=True).build(VectorFeatures(width=3), target_type)
    with recorded("all_gather"), recorded("all_to_all_single"), recorded("all_reduce"):
        for size in (22, 22, 9, 40):
            own = torch.arange(size).tensor_split(ranks.world)[ranks.rank]
            loss = head.loss(torch.ones(len(own), 3, requires_grad=True), own)
            names.append("backward")
            loss.sum().backward()
            names.append("end")
    return " ".join(names)


def work(kind, folder, ranks):
    if kind.startswith("until-"):
        for name, recipe in run_cases():
            source = folder.parent / name
            if ranks.first:
                shutil.copytree(source, folder / name)
            ranks.wait()
            rewritten(folder / name)
            ranks.wait()
            if ranks.first:
                shutil.copytree(folder / name, folder / f"{name}-rewritten")
            ranks.wait()
            until(folder / name, recipe, int(kind.removeprefix("until-")))
        return
    if kind == "runs":
        for name, recipe in run_cases():
            (folder / name).mkdir(exist_ok=True)
            run_and_resume(folder / name, recipe)
        return
    if kind == "loss":
        for name, case in loss_cases():
            result = loss_and_gradients(case, ranks=ranks)
            save_file(result, folder / f"{name}.{ranks.rank}")
        (folder / f"operations.{ranks.rank}").write_text(operations(ranks))
        return
    cases = {"heads": head_cases, "backbones": backbone_cases}[kind]
    for name, recipe in cases():
        _save(trained(recipe, ranks), folder / f"{name}.{ranks.rank}")
        if name in ("casia", "bf16") and kind == "backbones":
            made = trained(with_train(recipe, shard="none"), ranks)
            _save(made, folder / f"{name}-ddp.{ranks.rank}")


def _save(made, path):
    state = {k: local_part(v) for k, v in whole_state(made.inner, made.inner.state_dict()).items()}
    save_file({k: v.clone(memory_format=torch.contiguous_format) for k, v in state.items()}, path)


def main(kind, folder, rank, world):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=world,
        timeout=timedelta(seconds=60),
    )  # fmt: skip
    work(kind, folder, Ranks(rank, world))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), *map(int, sys.argv[3:]))
