"""Measure the cost of every weighting relative to the plain sum of losses, in time and memory.

    python benchmarks/bench_weightings.py [--pairs 30] [--only mgda,pcgrad] [--out FOLDER]

Steps of a weighting and of the plain sum (`equal`) alternate in one process, both by the loop of
mtlkit, on one thread; the result is the median ratio of CPU times. For comparison, the same network
is trained by hand with the gradients of all parameters task by task, as in LibMTL, and with the
engines of TorchJD. Memory is the peak of a separate process minus its memory before the first step.
The cost of the Gramian at all parameters is given in backward passes of the plain sum.
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
from task_by_task import ENGINES

from mtlkit.assembly import assembly_of, encode_targets
from mtlkit.backbones import MLP, CasiaNet
from mtlkit.data import Categorical, Data, DataSource, Loading, Numeric, Split
from mtlkit.heads import Regression
from mtlkit.model import assemble
from mtlkit.optim import SGD
from mtlkit.recipe import Recipe, Train
from mtlkit.task import Task
from mtlkit.task_types import Role
from mtlkit.training.context import TrainingContext
from mtlkit.training.devices.ranks import Ranks
from mtlkit.training.gradients.features import detach_features
from mtlkit.training.gradients.sources import gradient_source
from mtlkit.training.gradients.task_gradients import GradientStream, TaskGradients
from mtlkit.training.progress import Silence
from mtlkit.training.throughput import peak_memory
from mtlkit.training.update import Updater
from mtlkit.weightings import MGDA, Equal, GradientLocation, GradientWeighting

HERE = Path(__file__).parent
CLASSES = {"who": 100, "yaw": 13}
NUMBERS = ("age", "light")


def weightings():
    """Return the examples of the tests: every weighting, some at several locations."""
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
    """Return the updater of `recipe`, always with the same initial weights."""
    data = recipe.data.load(Loading())
    assembly = assembly_of(data, recipe.tasks)
    targets = encode_targets(data.train, recipe.tasks, assembly)
    torch.manual_seed(0)
    model = assemble(recipe.backbone, recipe.router, recipe.tasks, assembly)
    for task in recipe.tasks:
        model.head(task).fit_targets(targets[task])
    context = TrainingContext(
        recipe=recipe, data=data, folder=None, checkpoints=None, device=torch.device("cpu"),
        targets={"train": targets}, ranks=Ranks(), progress=Silence(),
    )  # fmt: skip
    return Updater(model, recipe.weighting.build(model.terms, model.router.features.width), context)


def output_of(head):
    """Return the linear layer of a head of classes or of one number."""
    return head.linear if hasattr(head, "linear") else head.layers


def by_hand(recipe, engine):
    """Return a step of the same network in plain PyTorch; `engine` computes the gradients."""
    source = updater(recipe)
    model, data, targets = source.inner.model, source.context.data, source.context.targets["train"]
    backbone = model.router
    linears = {name: output_of(model.head(name)) for name in TASKS}
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    batch = recipe.train.batch
    if isinstance(engine, Autogram):
        engine.hook(backbone)

    def step(number):
        index = (torch.arange(batch) + number * batch) % len(data.train)
        features = backbone(data.train.inputs[index]).shared
        losses = [F.cross_entropy(linears[n](features), targets[n][index]) for n in CLASSES]
        losses += [F.mse_loss(linears[n](features)[:, 0], targets[n][index]) / 2 for n in NUMBERS]
        optimizer.zero_grad()
        heads = [list(linear.parameters()) for linear in linears.values()]
        engine(losses, features, list(backbone.parameters()), heads, backbone)
        optimizer.step()

    return step


def plain(losses, features, shared, heads, backbone):
    sum(losses).backward()


def scalarizer(module):
    """Return an engine that differentiates the scalar of a module of TorchJD."""
    return lambda losses, features, shared, heads, backbone: module(torch.stack(losses)).backward()


def autojac(aggregator, **options):
    def engine(losses, features, shared, heads, backbone):
        from torchjd.autojac import jac_to_grad, mtl_backward

        mtl_backward(losses, features, tasks_params=heads, shared_params=shared, **options)
        jac_to_grad(shared, aggregator)

    return engine


class Autogram:
    """TorchJD's engine for a Gramian without a Jacobian; it hooks the backbone first."""

    def __init__(self, weighting):
        self.weighting = weighting

    def hook(self, backbone):
        from torchjd.autogram import Engine

        self.engine = Engine(backbone, batch_dim=None)

    def __call__(self, losses, features, shared, heads, backbone):
        stacked = torch.stack(losses)
        stacked.backward(self.weighting(self.engine.compute_gramian(stacked)))


def peers():
    """Return the engines of other libraries, by name."""
    import torchjd.aggregation as peer
    import torchjd.scalarization as scalars

    return {
        **ENGINES,
        "torchjd scalarization, UW": scalarizer(scalars.UW(4)),
        "torchjd scalarization, GLS": scalarizer(scalars.GeometricMean()),
        "torchjd autojac, Mean": autojac(peer.Mean()),
        "torchjd autojac, UPGrad": autojac(peer.UPGrad()),
        "torchjd autojac, MGDA": autojac(peer.MGDA()),
        "torchjd autojac, PCGrad": autojac(peer.PCGrad()),
        "torchjd autojac, CAGrad": autojac(peer.CAGrad(c=0.5)),
        "torchjd autojac, IMTLG": autojac(peer.IMTLG()),
        "torchjd autojac, NashMTL": autojac(peer.NashMTL(n_tasks=4)),
        "torchjd autojac, FairGrad": autojac(peer.FairGrad(alpha=2.0)),
        "torchjd autojac, AlignedMTL": autojac(peer.AlignedMTL()),
        "torchjd autojac, MGDA, chunk 1": autojac(peer.MGDA(), parallel_chunk_size=1),
        "torchjd autogram, MGDA": Autogram(peer.MGDAWeighting()),
    }


def paired(one, other, pairs):
    """Return the median ratio of CPU times of `one` and `other`, and that of `one` in ms."""
    for step in range(3):
        one(step)
        other(step)
    ratios, times = [], []
    for step in range(3, pairs + 3):
        order = (one, other) if step % 2 else (other, one)
        spent = {}
        for function in order:
            start = time.process_time()
            function(step)
            spent[function] = time.process_time() - start
        ratios.append(spent[one] / spent[other])
        times.append(spent[one])
    return statistics.median(ratios), statistics.median(times) * 1e3


def location_of(weighting):
    return weighting.at.value if isinstance(weighting, GradientWeighting) else "losses"


def time_weightings(network, chosen, pairs):
    """Return a row for each weighting: name, location, ratio, and time in milliseconds."""
    recipe = NETWORKS[network]
    base = updater(recipe).update
    rows = []
    for name, weighting in chosen.items():
        update = updater(attrs.evolve(recipe, weighting=weighting)).update
        ratio, milliseconds = paired(update, base, pairs)
        location = location_of(weighting)
        rows.append((name, location, ratio, milliseconds))
        print(f"{network:5} {name:32} {location:18} {ratio:6.3f}  {milliseconds:8.2f} ms")
    return rows


OURS = ("equal", "uncertainty", "gls", "mgda", "mgda at parameters", "pcgrad", "cagrad", "nash-mtl")
"""Weightings that are also timed relative to the plain sum by hand."""


def time_peers(network, pairs):
    """Return a row for each engine, and for some of ours, relative to the plain sum by hand."""
    recipe = NETWORKS[network]
    base = by_hand(recipe, plain)
    chosen = {"equal": Equal(), **weightings()}
    # without the log of gradients, which the others lack
    quiet = attrs.evolve(recipe, train=attrs.evolve(recipe.train, watch=False))
    steps = {
        f"mtlkit, {name}": updater(attrs.evolve(quiet, weighting=chosen[name])).update
        for name in OURS
    }
    steps |= {name: by_hand(recipe, engine) for name, engine in peers().items()}
    rows = []
    for name, step in steps.items():
        ratio, milliseconds = paired(step, base, pairs)
        rows.append((name, "parameters", ratio, milliseconds))
        print(f"{network:5} {name:51} {ratio:6.3f}  {milliseconds:8.2f} ms")
    return rows


def gramian_in_passes(network, pairs):
    """Return the cost of the Gramian at all parameters, in backward passes of the plain sum."""
    recipe = NETWORKS[network]
    source = updater(recipe)
    model, data = source.inner.model, source.context.data
    index = torch.arange(recipe.train.batch)
    targets = {n: v[index] for n, v in source.context.targets["train"].items()}
    counts = model.counts(targets)
    inputs = data.train.inputs[index]
    parameters = gradient_source(GradientLocation.PARAMETERS, model.router, Ranks())

    def gramian(step):
        detached = detach_features(model.features(inputs), model.tasks)
        losses = model.losses_at(detached.features, targets, counts)
        start = time.process_time()
        rows, _ = detached.jacobian(losses.mean, model.tasks)
        parameters.gramian(GradientStream([TaskGradients(detached, losses, rows)]))
        return time.process_time() - start

    def backward(step):
        losses = model.losses(inputs, targets, counts).mean
        start = time.process_time()
        losses.sum().backward()
        return time.process_time() - start

    ratios = [gramian(step) / backward(step) for step in range(pairs)]
    return statistics.median(ratios[3:])


MEMORY = {
    "plain sum": lambda: updater(NETWORKS["large"]).update,
    "mgda": lambda: updater(attrs.evolve(NETWORKS["large"], weighting=MGDA())).update,
    "mgda at parameters": lambda: (
        updater(
            attrs.evolve(NETWORKS["large"], weighting=MGDA(at=GradientLocation.PARAMETERS))
        ).update
    ),
    "task by task (LibMTL's way), MGDA": lambda: by_hand(
        NETWORKS["large"], ENGINES["task by task (LibMTL's way), MGDA"]
    ),
    "torchjd autojac, MGDA": lambda: by_hand(NETWORKS["large"], peers()["torchjd autojac, MGDA"]),
    "torchjd autojac, MGDA, chunk 1": lambda: by_hand(
        NETWORKS["large"], peers()["torchjd autojac, MGDA, chunk 1"]
    ),
    "torchjd autogram, MGDA": lambda: by_hand(NETWORKS["large"], peers()["torchjd autogram, MGDA"]),
}


def peak_of(name):
    """Return the peak memory of three steps minus the memory before them, in MiB."""
    torch.set_num_threads(1)
    step = MEMORY[name]()
    gc.collect()
    before = _resident()
    for number in range(3):
        step(number)
    return peak_memory(torch.device("cpu")) / 2**20 - before


def _resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure_memory():
    peaks = {}
    for name in MEMORY:
        done = subprocess.run(
            [sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True
        )
        peaks[name] = float(done.stdout)
        print(f"memory {name:40} {peaks[name]:8.0f} MiB")
    return peaks


def facts():
    from importlib.metadata import version

    import torchjd  # noqa: F401 - its version is reported

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


def table(results):
    """Return the results as Markdown."""
    lines = ["# What every weighting costs", ""]
    lines += [f"- {key}: {value}" for key, value in results["facts"].items()]
    lines += [
        f"- {results['pairs']} pairs of steps, CPU time, median ratio to the plain sum by the same "
        "loop; four tasks, two of classes and two of numbers",
        "- mlp: 656,896 shared parameters, batch 64",
        "- conv: CASIA-net of half width, 48 px, batch 32",
        "", "`python benchmarks/bench_weightings.py` prints and writes this.", "",
        "| weighting | gradients at | mlp | conv |", "|---|---|---|---|",
    ]  # fmt: skip
    conv = {name: ratio for name, _, ratio, _ in results["conv"]}
    for name, kind, ratio, _ in results["mlp"]:
        location = "-" if kind == "losses" else kind
        lines.append(f"| {name} | {location} | {ratio:.2f} | {conv[name]:.2f} |")
    lines += [
        "",
        "Engines of others, and some of ours, relative to the plain sum by hand. TorchJD is its "
        "release; LibMTL's way is a loop of ours after the papers (`benchmarks/task_by_task.py`):",
        "",
        "| engine | mlp | conv |",
        "|---|---|---|",
    ]
    conv = {name: ratio for name, _, ratio, _ in results["peers conv"]}
    for name, _, ratio, _ in results["peers mlp"]:
        lines.append(f"| {name} | {ratio:.2f} | {conv[name]:.2f} |")
    lines += [
        "",
        "The Gramian at all parameters of T = 4 tasks, in backward passes of the sum:",
        "",
    ]
    lines += [f"- {n}: {results['gramian'][n]:.2f}" for n in ("mlp", "conv")]
    base = results["memory"]["plain sum"]
    lines += ["", "Peak memory of a step, 50 million shared parameters:", "",
              "| step | MiB | ratio |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {n} | {m:.0f} | {m / base:.2f} |" for n, m in results["memory"].items()]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", help="names of weightings, separated by commas")
    parser.add_argument("--out", type=Path, help="a folder for weightings.json and weightings.md")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(peak_of(options.memory))
        return
    torch.set_num_threads(1)
    chosen = weightings()
    if options.only:
        names = options.only.split(",")
        chosen = {name: value for name, value in chosen.items() if name in names}
    results = {"facts": facts(), "pairs": options.pairs}
    for network in ("mlp", "conv"):
        results[network] = time_weightings(network, {"equal": Equal(), **chosen}, options.pairs)
    if options.only:
        return
    for network in ("mlp", "conv"):
        results[f"peers {network}"] = time_peers(network, options.pairs)
    results["gramian"] = {n: gramian_in_passes(n, options.pairs) for n in ("mlp", "conv")}
    results["memory"] = measure_memory()
    text = table(results)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "weightings.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.out / "weightings.md").write_text(text)


if __name__ == "__main__":
    main()
