"""What every weighting costs beyond the plain sum of the losses, in time and in memory.

    python benchmarks/bench_weightings.py [--pairs 30] [--only mgda,pcgrad] [--out FOLDER]

A step of each scheme and a step of the plain sum (`equal`) take turns in one process, both by
mtlkit's own loop, on one thread; CPU time is taken, and the median of the ratios. Beside them stand
the same network by hand with the gradients of all parameters task by task, as LibMTL takes them,
and TorchJD's engines. Memory is the peak of a process of its own above what it held before the
first step. The Gramian at all parameters is measured in backward passes of the plain sum.
"""

import argparse
import gc
import importlib.util
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import attrs
import torch
import torch.nn.functional as F

from mtlkit.backbones import MLP, CasiaNet
from mtlkit.data import Categorical, Data, DataSource, Loading, Numeric, Split
from mtlkit.heads import Regression
from mtlkit.model import assemble, assembly_of, encode_targets
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.training.context import TrainingContext
from mtlkit.training.gradients.features import detach_features
from mtlkit.training.gradients.sources import gradient_source
from mtlkit.training.gradients.task_gradients import GradientStream, TaskGradients
from mtlkit.training.progress import Silence
from mtlkit.training.ranks import Ranks
from mtlkit.training.update import Updater
from mtlkit.weightings import MGDA, Equal, GradientLocation, GradientWeighting

HERE = Path(__file__).parent
CLASSES = {"who": 100, "yaw": 13}
NUMBERS = ("age", "light")


def schemes():
    """The examples of the tests: every weighting, and some at other places."""
    spec = importlib.util.spec_from_file_location("schemes", HERE.parent / "tests" / "schemes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SCHEMES


@attrs.frozen(kw_only=True)
class Noise(DataSource):
    """Random samples with labels of two classes and two numbers."""

    shape: tuple[int, ...]
    samples: int

    def load(self, loading: Loading) -> Data:
        generator = torch.Generator().manual_seed(0)
        columns = {
            name: Categorical(
                torch.randint(0, count, (self.samples,), generator=generator),
                tuple(map(str, range(count))),
            )
            for name, count in CLASSES.items()
        }
        columns |= {n: Numeric(torch.randn(self.samples, generator=generator)) for n in NUMBERS}
        inputs = torch.randn(self.samples, *self.shape, generator=generator)
        return Data(
            train=Split(inputs=inputs, columns=columns, ids=list(map(str, range(self.samples))))
        )


TASKS = {
    **{name: Task(role=Role.MAIN if name == "who" else Role.SIDE) for name in CLASSES},
    **{name: Task(head=Regression()) for name in NUMBERS},
}
SMALL = Recipe(
    data=Noise(shape=(256,), samples=640),
    backbone=MLP(hidden=(512, 512, 512)),
    tasks=TASKS,
    optimizer=SGD(lr=1e-3),
    train=Train(batch=64, device="cpu", log_every=10),
)
NETWORKS = {
    "mlp": SMALL,  # 656,896 shared parameters
    "conv": attrs.evolve(
        SMALL,
        data=Noise(shape=(1, 48, 48), samples=320),
        backbone=CasiaNet(width=0.5),
        train=attrs.evolve(SMALL.train, batch=32),
    ),
    "large": attrs.evolve(  # 50 million shared parameters, for memory
        SMALL, data=Noise(shape=(3500,), samples=64), backbone=MLP(hidden=(4000, 4000, 4000, 1000))
    ),
}


def updater(recipe):
    """mtlkit's loop over `recipe`, from the same weights each time."""
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    targets = encode_targets(data.train, recipe.tasks, assembly)
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    for task in recipe.tasks:
        model.head(task).fit_targets(targets[task])
    setting = TrainingContext(
        recipe=recipe, data=data, folder=None, checkpoints=None, device=torch.device("cpu"),
        targets={"train": targets}, ranks=Ranks(), progress=Silence(),
    )  # fmt: skip
    return Updater(model, recipe.weighting.build(model.terms, model.router.features), setting)


def by_hand(recipe, engine):
    """The same network in plain PyTorch; `engine` leaves the gradients in the parameters."""
    made = updater(recipe)
    trunk, data, targets = made.inner.model.router, made.setting.data, made.setting.targets["train"]
    linears = {name: made.inner.model.head(name).linear for name in TASKS}
    optimizer = torch.optim.SGD(made.inner.model.parameters(), lr=1e-3, momentum=0.9)
    batch = recipe.train.batch
    if isinstance(engine, Autogram):
        engine.hook(trunk)

    def step(number):
        index = (torch.arange(batch) + number * batch) % len(data.train)
        features = trunk(data.train.inputs[index]).shared
        losses = [F.cross_entropy(linears[n](features), targets[n][index]) for n in CLASSES]
        losses += [F.mse_loss(linears[n](features)[:, 0], targets[n][index]) / 2 for n in NUMBERS]
        optimizer.zero_grad()
        heads = [list(linear.parameters()) for linear in linears.values()]
        engine(losses, features, list(trunk.parameters()), heads, trunk)
        optimizer.step()

    return step


def plain(losses, features, shared, heads, trunk):
    sum(losses).backward()


def task_by_task(losses, features, shared, heads, trunk):
    """LibMTL's way: every task's gradient at all shared parameters, here weighted by MGDA."""
    from mtlkit.weightings.solvers.simplex import min_norm

    rows = [torch.autograd.grad(loss, shared, retain_graph=True) for loss in losses]
    jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
    weights = min_norm((jacobian @ jacobian.T).double()).float()
    direction = torch.split(weights @ jacobian, [p.numel() for p in shared])
    for loss, own in zip(losses, heads, strict=True):
        found = torch.autograd.grad(loss, own, retain_graph=True)
        for p, part in zip(own, found, strict=True):
            p.grad = part
    for p, part in zip(shared, direction, strict=True):
        p.grad = part.view_as(p)


def autojac(aggregator, **options):
    def engine(losses, features, shared, heads, trunk):
        from torchjd.autojac import jac_to_grad, mtl_backward

        mtl_backward(losses, features, tasks_params=heads, shared_params=shared, **options)
        jac_to_grad(shared, aggregator)

    return engine


class Autogram:
    """TorchJD's engine for a Gramian without a Jacobian; it hooks the trunk before any forward."""

    def __init__(self, weighting):
        self.weighting = weighting

    def hook(self, trunk):
        from torchjd.autogram import Engine

        self.engine = Engine(trunk, batch_dim=None)

    def __call__(self, losses, features, shared, heads, trunk):
        stacked = torch.stack(losses)
        stacked.backward(self.weighting(self.engine.compute_gramian(stacked)))


def peers():
    """The engines of others, by name."""
    import torchjd.aggregation as peer

    return {
        "task by task (LibMTL's way), MGDA": task_by_task,
        "torchjd autojac, Mean": autojac(peer.Mean()),
        "torchjd autojac, UPGrad": autojac(peer.UPGrad()),
        "torchjd autojac, MGDA": autojac(peer.MGDA()),
        "torchjd autojac, PCGrad": autojac(peer.PCGrad()),
        "torchjd autojac, CAGrad": autojac(peer.CAGrad(c=0.5)),
        "torchjd autojac, IMTLG": autojac(peer.IMTLG()),
        "torchjd autojac, AlignedMTL": autojac(peer.AlignedMTL()),
        "torchjd autojac, MGDA, chunk 1": autojac(peer.MGDA(), parallel_chunk_size=1),
        "torchjd autogram, MGDA": Autogram(peer.MGDAWeighting()),
    }


def paired(one, other, pairs):
    """The ratio of the CPU time of `one` to that of `other`, step by step in turns."""
    for step in range(3):
        one(step)
        other(step)
    ratios, times = [], []
    for step in range(3, pairs + 3):
        order = (one, other) if step % 2 else (other, one)
        spent = {}
        for each in order:
            start = time.process_time()
            each(step)
            spent[each] = time.process_time() - start
        ratios.append(spent[one] / spent[other])
        times.append(spent[one])
    return statistics.median(ratios), statistics.median(times) * 1e3


def kind_of(scheme):
    if not isinstance(scheme, GradientWeighting):
        return "losses"
    return scheme.at.value


def time_schemes(network, chosen, pairs):
    """A row for each scheme: its name, where it looks, its ratio, its time in milliseconds."""
    recipe = NETWORKS[network]
    base = updater(recipe).update
    rows = []
    for name, scheme in chosen.items():
        own = updater(attrs.evolve(recipe, weighting=scheme)).update
        ratio, milliseconds = paired(own, base, pairs)
        rows.append((name, kind_of(scheme), ratio, milliseconds))
        print(f"{network:5} {name:32} {kind_of(scheme):18} {ratio:6.3f}  {milliseconds:8.2f} ms")
    return rows


def time_peers(network, pairs):
    recipe = NETWORKS[network]
    base = by_hand(recipe, plain)
    rows = []
    for name, engine in peers().items():
        ratio, milliseconds = paired(by_hand(recipe, engine), base, pairs)
        rows.append((name, "parameters", ratio, milliseconds))
        print(f"{network:5} {name:51} {ratio:6.3f}  {milliseconds:8.2f} ms")
    return rows


def gramian_in_passes(network, pairs):
    """The Gramian at all parameters, in backward passes of the plain sum."""
    recipe = NETWORKS[network]
    made = updater(recipe)
    model = made.inner.model
    index = torch.arange(recipe.train.batch)
    targets = {n: v[index] for n, v in made.setting.targets["train"].items()}
    counts = model.counts(targets)
    inputs = made.setting.data.train.inputs[index]
    source = gradient_source(GradientLocation.PARAMETERS, model.router, Ranks())

    def gramian(step):
        at = detach_features(model.features(inputs), model.tasks)
        losses = model.losses_at(at.features, targets, counts)
        start = time.process_time()
        rows, _ = at.jacobian(losses.mean, model.tasks)
        source.gramian(GradientStream([TaskGradients(at, losses, rows)]))
        return time.process_time() - start

    def backward(step):
        losses = model.losses(inputs, targets, counts).mean
        start = time.process_time()
        losses.sum().backward()
        return time.process_time() - start

    found = []
    for step in range(pairs):
        found.append(gramian(step) / backward(step))
    return statistics.median(found[3:])


MEMORY = {
    "plain sum": lambda: updater(NETWORKS["large"]).update,
    "mgda": lambda: updater(attrs.evolve(NETWORKS["large"], weighting=MGDA())).update,
    "mgda at parameters": lambda: (
        updater(
            attrs.evolve(NETWORKS["large"], weighting=MGDA(at=GradientLocation.PARAMETERS))
        ).update
    ),
    "task by task (LibMTL's way), MGDA": lambda: by_hand(NETWORKS["large"], task_by_task),
    "torchjd autojac, MGDA": lambda: by_hand(NETWORKS["large"], peers()["torchjd autojac, MGDA"]),
    "torchjd autojac, MGDA, chunk 1": lambda: by_hand(
        NETWORKS["large"], peers()["torchjd autojac, MGDA, chunk 1"]
    ),
    "torchjd autogram, MGDA": lambda: by_hand(NETWORKS["large"], peers()["torchjd autogram, MGDA"]),
}


def peak_of(name):
    """The peak of this process over three steps, above what it held before them, in MiB."""
    torch.set_num_threads(1)
    step = MEMORY[name]()
    gc.collect()
    before = _resident()
    for number in range(3):
        step(number)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before


def _resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure_memory():
    found = {}
    for name in MEMORY:
        done = subprocess.run(
            [sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True
        )
        found[name] = float(done.stdout)
        print(f"memory {name:40} {found[name]:8.0f} MiB")
    return found


def facts():
    from importlib.metadata import version

    import torchjd  # noqa: F401 - its version stands beside its figures

    cpu = next(
        (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
         if line.startswith("model name")), platform.processor(),
    )  # fmt: skip
    return {
        "date": date.today().isoformat(),
        "machine": f"{cpu}, one thread, shared with other work",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchjd": version("torchjd"),
    }


def table(found):
    """The results as Markdown."""
    lines = ["# What every weighting costs", ""]
    lines += [f"- {key}: {value}" for key, value in found["facts"].items()]
    lines += [
        f"- {found['pairs']} pairs of steps, CPU time, median ratio to the plain sum by the same "
        "loop; four tasks, two of classes and two of numbers",
        "- mlp: 656,896 shared parameters, batch 64",
        "- conv: CASIA-net of half width, 48 px, batch 32",
        "", "`python benchmarks/bench_weightings.py` prints and writes it.", "",
        "| scheme | gradients at | mlp | conv |", "|---|---|---|---|",
    ]  # fmt: skip
    conv = {name: ratio for name, _, ratio, _ in found["conv"]}
    for name, kind, ratio, _ in found["mlp"]:
        where = "-" if kind == "losses" else kind
        lines.append(f"| {name} | {where} | {ratio:.2f} | {conv[name]:.2f} |")
    lines += [
        "",
        "Others, to the plain sum by hand:",
        "",
        "| engine | mlp | conv |",
        "|---|---|---|",
    ]
    conv = {name: ratio for name, _, ratio, _ in found["peers conv"]}
    for name, _, ratio, _ in found["peers mlp"]:
        lines.append(f"| {name} | {ratio:.2f} | {conv[name]:.2f} |")
    lines += [
        "",
        "The Gramian at all parameters of T = 4 tasks, in backward passes of the sum:",
        "",
    ]
    lines += [f"- {n}: {found['gramian'][n]:.2f}" for n in ("mlp", "conv")]
    base = found["memory"]["plain sum"]
    lines += ["", "Peak memory of a step, 50 million shared parameters:", "",
              "| step | MiB | ratio |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {n} | {m:.0f} | {m / base:.2f} |" for n, m in found["memory"].items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", help="names of schemes, with commas between")
    parser.add_argument("--out", type=Path, help="a folder for weightings.json and weightings.md")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.memory:
        print(peak_of(asked.memory))
        return
    torch.set_num_threads(1)
    chosen = schemes()
    if asked.only:
        names = asked.only.split(",")
        chosen = {name: scheme for name, scheme in chosen.items() if name in names}
    found = {"facts": facts(), "pairs": asked.pairs}
    for network in ("mlp", "conv"):
        found[network] = time_schemes(network, {"equal": Equal(), **chosen}, asked.pairs)
    if asked.only:
        return
    for network in ("mlp", "conv"):
        found[f"peers {network}"] = time_peers(network, asked.pairs)
    found["gramian"] = {n: gramian_in_passes(n, asked.pairs) for n in ("mlp", "conv")}
    found["memory"] = measure_memory()
    text = table(found)
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "weightings.json").write_text(json.dumps(found, indent=1) + "\n")
        (asked.out / "weightings.md").write_text(text)


if __name__ == "__main__":
    main()
