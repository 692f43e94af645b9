"""``mtlkit ops``: which implementations the head ops have, and which would run."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtlkit.atomic_files import write_file
from mtlkit.cli import current_catalog
from mtlkit.cli.commands.list import echo_table
from mtlkit.errors import ImplementationError, MtlkitError
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.command_options import OutputFile
from mtlkit.printable import echo

if TYPE_CHECKING:
    from mtlkit.ops.dispatch.choice import Candidate
    from mtlkit.ops.dispatch.implementation import Op

SIZE = click.IntRange(min=1, max=2**40)
"""The sizes of an op's inputs."""

DTYPES = ("float32", "bfloat16", "float16", "float64")
REDUCTIONS = ("none", "sum", "mean")


@click.group()
def ops() -> None:
    """Show the head ops, and which implementation would run."""


@ops.command("list")
def list_ops() -> None:
    """List the ops and their implementations: what each costs, or why it cannot run here."""
    import torch

    from mtlkit.ops.dispatch.choice import explain, use
    from mtlkit.ops.dispatch.device import device_text
    from mtlkit.ops.dispatch.implementation import Request

    device = "cuda" if torch.cuda.is_available() else "cpu"
    catalog, usual = current_catalog(), Request(512, 512, 200, device=device)
    for entry in catalog.ops:
        try:
            with use(catalog.op_table):
                candidates = explain(catalog.ops.get(entry.name), usual)
        except MtlkitError as cause:
            echo(f"{entry.name}: unavailable: {cause}", "")
            continue
        origin = f" ({entry.origin})" if "/" in entry.name else ""
        echo(f"{entry.name}: {entry.summary}{origin}")
        rows = [
            (name, _summary(catalog, candidate), *cells)
            for candidate in candidates
            for name, *cells in _rows([candidate])
        ]
        echo_table(rows, indent="  ")
        echo()
    for entry in catalog.implementations:
        try:
            catalog.implementations.get(entry.name)
        except MtlkitError as cause:
            echo(f"{entry.name}: unavailable: {cause}", "")
    echo(f"estimates for 512 rows, 512 features, 200 classes, float32, on {device_text(device)}")


@ops.command()
@click.argument("op", metavar="OP")
@click.option("--rows", default=512, type=SIZE, show_default=True, help="Samples N.")
@click.option("--features", default=512, type=SIZE, show_default=True, help="Features D.")
@click.option(
    "--classes", default=10_000, type=SIZE, show_default=True, help="Classes C (of all heads)."
)
@click.option("--parts", default=1, type=SIZE, show_default=True, help="Heads or groups.")
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(DTYPES),
              help="Type of the inputs.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, type=click.Choice(("cpu", "cuda")),
              help="Kind of device.")  # fmt: skip
@click.option("--reduction", default="mean", show_default=True,
              type=click.Choice(REDUCTIONS), help="What becomes of the losses.")  # fmt: skip
@click.option("--forward-only", is_flag=True, help="Nothing is differentiated.")
@click.option("--use", "argument", metavar="NAME", help="Use this implementation.")
def explain(
    op: str,
    rows: int,
    features: int,
    classes: int,
    parts: int,
    dtype: str,
    device: str,
    reduction: str,
    forward_only: bool,
    argument: str | None,
) -> None:
    """Show which implementation of OP would run for these sizes, and why."""
    import torch

    from mtlkit.ops.dispatch.choice import choose, explain, find_op, use
    from mtlkit.ops.dispatch.device import device_text
    from mtlkit.ops.dispatch.implementation import Request

    request = Request(
        rows, features, classes, getattr(torch, dtype), device, not forward_only, reduction, parts
    )
    with use(current_catalog().op_table):
        explained = find_op(op)
        if argument is not None:
            choose(explained, request, argument)  # its error states why it cannot run
        candidates = explain(explained, request, argument)
    header = ("implementation", "time", "memory", "")
    echo_table([header, *_rows(candidates)])
    text = device_text(device)
    echo("", f"times and memory beyond inputs and gradients are estimates for {text}")


@ops.command()
@click.option("--out", required=True, type=OutputFile(),
              help="Where the table is written.")  # fmt: skip
@click.option(
    "--rows", multiple=True, type=SIZE, default=(512,), show_default=True, help="Samples N."
)
@click.option("--features", default=512, type=SIZE, show_default=True, help="Features D.")
@click.option("--classes", multiple=True, type=SIZE, default=(200, 10_000), show_default=True,
              help="Classes C.")  # fmt: skip
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(DTYPES),
              help="Type of the inputs.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, type=click.Choice(("cpu", "cuda")),
              help="Kind of device.")  # fmt: skip
def tune(
    out: Path,
    rows: tuple[int, ...],
    features: int,
    classes: tuple[int, ...],
    dtype: str,
    device: str,
) -> None:
    """Measure the implementations here, for MTLKIT_OPS_TABLE to name the table of their times."""
    import torch

    from mtlkit.ops.dispatch.timing import Sizes
    from mtlkit.ops.tune import tuned

    if device == "cuda" and not torch.cuda.is_available():
        raise ImplementationError("--device cuda: torch finds no GPU here")

    def report(key: str, seconds: dict[str, float]) -> None:
        echo(key)
        for name, taken in sorted(seconds.items(), key=lambda item: item[1]):
            echo(f"  {name:<15} {taken * 1e3:.3g} ms")

    sizes = Sizes(rows, features, classes, getattr(torch, dtype), device)
    table = tuned(_usable_ops(current_catalog()), sizes, report)
    write_file(out, f"{json.dumps(table, indent=1)}\n".encode())
    echo("", f"wrote {out}; MTLKIT_OPS_TABLE={out} makes the choice go by it")


def _usable_ops(catalog: Catalog) -> "Iterator[Op]":
    for name in catalog.ops.names():
        with contextlib.suppress(MtlkitError):
            yield catalog.ops.get(name)


def _summary(catalog: Catalog, candidate: "Candidate") -> str:
    """Return the summary of an implementation; a plugin's names its distribution."""
    if candidate.name not in catalog.implementations:
        return candidate.summary
    entry = catalog.implementations.entry(candidate.name)
    return f"{entry.summary} ({entry.origin})"


def _rows(candidates: "list[Candidate]") -> Iterator[tuple[str, str, str, str]]:
    for candidate in candidates:
        if candidate.refuses:
            yield candidate.name, "", "", f"cannot run: {candidate.refuses}"
        else:
            chosen = f"chosen by {candidate.chosen}" if candidate.chosen else ""
            memory = f"{candidate.peak / 2**20:.3g} MiB"
            yield candidate.name, f"{candidate.seconds * 1e3:.3g} ms", memory, chosen
