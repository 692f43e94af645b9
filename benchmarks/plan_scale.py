"""Plan the memory, traffic and time of training with the classes divided among GPUs, by formula.

    python benchmarks/plan_scale.py [--identities 10e6] [--gpus 64] ...
    python benchmarks/plan_scale.py --check benchmarks/results/sharded-head.json

The formulas are those of docs/explanation/scale.md. `--check` compares their memory and the work
that they predict for several processes with what `bench_sharded_head.py` measured.
"""

import argparse
import json
from pathlib import Path

import attrs

FLOAT = 4
"""Bytes of a parameter, a gradient and a moment."""

CHANCE = 9
"""Bytes of a row in a draw: a float64 and a mark."""

TEXT = 66
"""Bytes of a short text in a tuple, and of its place."""


@attrs.frozen(kw_only=True)
class Head:
    """A margin head with `classes` of `width`, divided among `ranks`; `batch` over all ranks.

    `moments` is 1 for SGD with momentum and 2 for AdamW.
    """

    classes: float
    width: int
    ranks: int
    batch: int
    sample: float = 1.0
    lazy: bool = False
    moments: int = 1

    @property
    def rows(self) -> float:
        """Rows of one rank."""
        return self.classes / self.ranks

    @property
    def drawn(self) -> float:
        """Rows that an update uses on one rank."""
        return self.rows * self.sample

    def memory(self) -> float:
        """Peak bytes of one rank: parameters, moments, gradients and the draw."""
        kept = FLOAT * self.width * self.rows * (1 + self.moments + (not self.lazy))
        sampled = self.sample < 1
        drawn = FLOAT * self.width * self.drawn * 2 * sampled + CHANCE * self.rows * sampled
        features = 2 * FLOAT * self.batch * self.width
        return kept + drawn + features

    def traffic(self) -> float:
        """Bytes that one rank sends in an update: features, their gradient, five numbers a sample.

        Each is sent once. The numbers are two that are combined to the loss, and three that its
        gradient needs.
        """
        others = (self.ranks - 1) / self.ranks
        return others * FLOAT * self.batch * (2 * self.width + 2 + 3)

    def flops(self) -> float:
        """Multiplications and additions of one rank: four products of features and rows."""
        return 4 * 2 * self.batch * self.width * self.drawn

    def moved(self) -> float:
        """Bytes of memory that one rank reads and writes in the optimizer and the draw.

        An update reads and writes each row and its moments, and writes and reads its gradient.
        """
        updated = self.drawn if self.lazy else self.rows
        update = FLOAT * self.width * updated * (2 + 2 * self.moments + 2)
        return update + 4 * CHANCE * self.rows * (self.sample < 1)


@attrs.frozen(kw_only=True)
class Machine:
    """Speeds of one GPU that training reaches; change them to measured ones."""

    flops: float = 2e14  # a second, in bfloat16
    memory: float = 2.5e12  # bytes a second
    network: float = 4e10  # bytes a second, sent by each GPU
    decoded: float = 3e3  # images a second of one CPU core


def plan(options: argparse.Namespace) -> str:
    """Return the plan as a table."""
    machine = Machine()
    batch = options.batch * options.gpus
    lines = [
        "| head | memory a GPU | sent a GPU | head | backbone | network | update | epoch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, sample, lazy in (("all", 1.0, False), ("0.1", 0.1, False), ("0.1, lazy", 0.1, True)):
        head = Head(
            classes=options.identities, width=options.width, ranks=options.gpus, batch=batch,
            sample=sample, lazy=lazy,
        )  # fmt: skip
        others = (options.gpus - 1) / options.gpus
        sent = head.traffic() + 2 * others * FLOAT * options.parameters
        # forward and backward pass
        backbone = 3 * options.image_flops * options.batch / machine.flops
        in_head = head.flops() / machine.flops + head.moved() / machine.memory
        network = sent / machine.network
        update = backbone + in_head + network
        epoch = options.images / batch * update
        memory = head.memory() + 4 * FLOAT * options.parameters
        lines.append(
            f"| {name} | {memory / 1e9:.2f} GB | {sent / 1e6:.0f} MB | {in_head * 1e3:.1f} ms | "
            f"{backbone * 1e3:.1f} ms | {network * 1e3:.1f} ms | {update * 1e3:.0f} ms | "
            f"{epoch / 60:.0f} min |"
        )
    rate = batch / update
    identities, images = options.identities, options.images
    whole = FLOAT * options.width * identities
    sizes = {
        "weights and momentum of its classes, which each process saves": 2 * whole / options.gpus,
        "weights of all classes, on the first GPU in an evaluation": whole,
        "logits of a batch of 256 in an evaluation": 256 * FLOAT * identities,
        f"names of {identities:,.0f} classes, on each process": TEXT * identities,
        f"ids of {images:,.0f} images, on each process": TEXT * images,
        "order of an epoch, on each process": 8 * images,
    }
    lines += ["", "| alone on the first process, or on each | size |", "|---|---|"]
    lines += [f"| {what} | {size / 1e9:.1f} GB |" for what, size in sizes.items()]
    cores = rate / machine.decoded
    lines.append(f"| CPU cores that decode {rate:,.0f} images/s for all GPUs | {cores:.0f} |")
    return "\n".join(lines)


def check(path: Path) -> str:
    """Return a table of predicted and measured figures; those of one process calibrate the time."""
    measured = json.loads(path.read_text())
    lines = [
        "| head | processes | MiB by formula | measured | CPU s by formula | measured |",
        "|---|---|---|---|---|---|",
    ]
    one: dict[str, float] = {}
    for cell in measured["cells"]:
        name, ranks = cell["head"], cell["ranks"]
        head = Head(
            classes=measured["classes"], width=measured["width"], ranks=ranks,
            batch=measured["batch"], sample=0.1 if "0.1" in name else 1.0, lazy="lazy" in name,
        )  # fmt: skip
        one.setdefault(name, cell["seconds"])
        # a fixed cost of each process in a group, measured with 100 classes
        seconds = one[name] / ranks + measured["fixed"] * (ranks > 1)
        lines.append(
            f"| {name} | {ranks} | {head.memory() / 2**20:.0f} | {cell['mib']:.0f} | "
            f"{seconds:.2f} | {cell['seconds']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=float, default=10e6)
    parser.add_argument("--images", type=float, default=100e6)
    parser.add_argument("--gpus", type=int, default=64)
    parser.add_argument("--batch", type=int, default=128, help="images of a GPU in an update")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--parameters", type=float, default=65e6, help="of the backbone")
    parser.add_argument("--image-flops", type=float, default=24e9, help="of its forward pass")
    parser.add_argument("--check", type=Path)
    options = parser.parse_args()
    print(check(options.check) if options.check else plan(options))


if __name__ == "__main__":
    main()
