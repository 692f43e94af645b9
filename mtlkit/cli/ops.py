"""``mtlkit ops``: which implementations the head ops have, and which would run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.list import aligned
from mtlkit.errors import ImplementationError, MtlkitError
from mtlkit.plugins.catalog import Catalog

if TYPE_CHECKING:
    from mtlkit.ops.dispatch.choice import Line
    from mtlkit.ops.dispatch.implementation import Op

DTYPES = ("float32", "bfloat16", "float16", "float64")
REDUCTIONS = ("none", "sum", "mean")


@click.group()
def ops() -> None:
    """Show the head ops, and which implementation would run."""


@ops.command("list")
def list_ops() -> None:
    """List the ops and their implementations: what each costs, or why it cannot run here."""
    import torch

    from mtlkit.ops.dispatch.choice import explain
    from mtlkit.ops.dispatch.device import described
    from mtlkit.ops.dispatch.implementation import Request
    from mtlkit.ops.dispatch.plugin_ops import broken, op_called, searched_in

    device = "cuda" if torch.cuda.is_available() else "cpu"
    catalog, usual = current_catalog(), Request(512, 512, 200, device=device)
    for entry in catalog.ops:
        with searched_in(catalog):
            try:
                op = op_called(entry.name)
            except MtlkitError as cause:
                click.echo(f"{entry.name}: cannot be had: {cause}\n")
                continue
            lines = explain(op, usual)
        whose = f" ({entry.origin})" if "/" in entry.name else ""
        click.echo(f"{entry.name}: {op.summary}{whose}")
        for line in aligned([_with_summary(catalog, op, told) for told in _rows(lines)]):
            click.echo(f"  {line}")
        click.echo()
    for entry in catalog.implementations:
        if said := broken(catalog.implementations, entry):
            click.echo(f"{entry.name}: cannot be had: {said}\n")
    click.echo(
        f"estimates for 512 rows, 512 features, 200 classes, float32, on {described(device)}"
    )


@ops.command()
@click.argument("op", metavar="OP")
@click.option("--rows", default=512, show_default=True, help="Samples N.")
@click.option("--features", default=512, show_default=True, help="Features D.")
@click.option("--classes", default=10_000, show_default=True, help="Classes C (of all heads).")
@click.option("--parts", default=1, show_default=True, help="Heads or groups.")
@click.option("--dtype", default="float32", show_default=True, type=click.Choice(DTYPES),
              help="Type of the inputs.")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, type=click.Choice(("cpu", "cuda")),
              help="Kind of device.")  # fmt: skip
@click.option("--reduction", default="mean", show_default=True,
              type=click.Choice(REDUCTIONS), help="What becomes of the losses.")  # fmt: skip
@click.option("--forward-only", is_flag=True, help="Nothing is differentiated.")
@click.option("--use", "argument", metavar="NAME", help="Ask for this implementation.")
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

    from mtlkit.ops.dispatch.choice import choose, explain
    from mtlkit.ops.dispatch.device import described
    from mtlkit.ops.dispatch.implementation import Request
    from mtlkit.ops.dispatch.plugin_ops import op_called, searched_in

    catalog = current_catalog()
    request = Request(
        rows, features, classes, getattr(torch, dtype), device, not forward_only, reduction, parts
    )
    with searched_in(catalog):
        found = op_called(op)
        if argument is not None:
            choose(found, request, argument)  # its error says why it cannot run
        lines = explain(found, request, argument)
    header = ("implementation", "time", "memory", "")
    for line in aligned([header, *_rows(lines)]):
        click.echo(line)
    told = f"estimates for {described(device)}"
    click.echo(f"\ntimes and memory beyond inputs and gradients are {told}")


@ops.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="Where the table is written.")  # fmt: skip
@click.option("--rows", multiple=True, default=(512,), show_default=True, help="Samples N.")
@click.option("--features", default=512, show_default=True, help="Features D.")
@click.option("--classes", multiple=True, default=(200, 10_000), show_default=True,
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

    from mtlkit.ops.tune import trials, tuned

    if device == "cuda" and not torch.cuda.is_available():
        raise ImplementationError("--device cuda: torch finds no GPU here")

    def report(key: str, seconds: dict[str, float]) -> None:
        click.echo(key)
        for name, taken in sorted(seconds.items(), key=lambda item: item[1]):
            click.echo(f"  {name:<15} {taken * 1e3:.3g} ms")

    sizes = trials(list(rows), features, list(classes), getattr(torch, dtype), device)
    table = tuned(sizes, report)
    out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    click.echo(f"\nwrote {out}; MTLKIT_OPS_TABLE={out} makes the choice go by it")


def _with_summary(
    catalog: Catalog, op: "Op", told: tuple[str, str, str, str]
) -> tuple[str, str, str, str, str]:
    """A line of the list: a plugin's implementation says whose it is."""
    name = told[0]
    if name in op.implementations:
        return (name, op.implementations[name].summary, *told[1:])
    entry = catalog.implementations.entry(name)
    return (name, f"{entry.summary} ({entry.origin})", *told[1:])


def _rows(lines: list["Line"]) -> Iterator[tuple[str, str, str, str]]:
    for line in lines:
        if line.refuses:
            yield line.name, "", "", f"cannot run: {line.refuses}"
        else:
            told = f"chosen by {line.chosen}" if line.chosen else ""
            yield line.name, f"{line.seconds * 1e3:.3g} ms", f"{line.peak / 2**20:.3g} MiB", told
