"""``mtlkit ops``: which implementations the head ops have, and which would run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from mtlkit.cli.list import aligned
from mtlkit.errors import ImplementationError, did_you_mean

if TYPE_CHECKING:
    from mtlkit.ops.choice import Line

DTYPES = ("float32", "bfloat16", "float16", "float64")
REDUCTIONS = ("none", "sum", "mean")


@click.group()
def ops() -> None:
    """Show the head ops, and which implementation would run."""


@ops.command("list")
def list_ops() -> None:
    """List the ops and their implementations, and which cannot run here."""
    from mtlkit.ops.catalog import OPS
    from mtlkit.ops.implementation import Request

    usual = Request(512, 512, 200)
    for name, op in OPS.items():
        click.echo(f"{name}: {op.summary}")
        rows = [
            (each.name, each.summary, f"not here: {refused}" if refused else "")
            for each in op.implementations.values()
            for refused in [each.refuses(usual._replace(reduction="mean"))]
        ]
        for line in aligned(rows):
            click.echo(f"  {line}")
        click.echo()


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

    from mtlkit.ops.catalog import OPS
    from mtlkit.ops.choice import choose, explain
    from mtlkit.ops.implementation import Request

    if op not in OPS:
        raise ImplementationError(
            f"no op named {op!r}{did_you_mean(op, OPS)}; the ops are {', '.join(OPS)}"
        )
    request = Request(
        rows, features, classes, getattr(torch, dtype), device, not forward_only, reduction, parts
    )
    if argument is not None:
        choose(OPS[op], request, argument)  # its error says why it cannot run
    lines = explain(OPS[op], request, argument)
    header = ("implementation", "time", "memory", "")
    for line in aligned([header, *_rows(lines)]):
        click.echo(line)
    click.echo("\ntimes and memory beyond inputs and gradients are estimates")


def _rows(lines: list["Line"]) -> Iterator[tuple[str, str, str, str]]:
    for line in lines:
        if line.refuses:
            yield line.name, "", "", f"cannot run: {line.refuses}"
        else:
            told = f"chosen by {line.chosen}" if line.chosen else ""
            yield line.name, f"{line.seconds * 1e3:.3g} ms", f"{line.peak / 2**20:.3g} MiB", told
