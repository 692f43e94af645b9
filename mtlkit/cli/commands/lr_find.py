"""``mtlkit lr-find``: suggest a learning rate for a recipe."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import set_option
from mtlkit.plugins.command_options import OutputFile, cache_option
from mtlkit.printable import echo

SHOWN = 12
"""Number of rates that are printed."""


@click.command("lr-find")
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
@click.option("--from", "low", type=float, default=1e-6, show_default=True, help="Lowest rate.")
@click.option("--to", "high", type=float, default=1.0, show_default=True, help="Highest rate.")
@click.option("--steps", type=click.IntRange(10), default=100, show_default=True, help="Updates.")
@click.option(
    "--out", type=OutputFile(".csv"), metavar="FILE",
    help="Also write every rate and loss to this CSV file.",
)  # fmt: skip
@cache_option
def lr_find(
    recipe: Path,
    overrides: tuple[str, ...],
    low: float,
    high: float,
    steps: int,
    out: Path | None,
    cache: Path,
) -> None:
    """Train RECIPE shortly with growing learning rates, and suggest one of them.

    The suggestion is the rate at which the loss falls fastest. Nothing is kept of the training.
    """
    from mtlkit.atomic_files import write_file
    from mtlkit.data.source import Loading
    from mtlkit.errors import RunError
    from mtlkit.recipe_io import load_recipe
    from mtlkit.runs.lr_find import RateRange, find_rate

    catalog = current_catalog()
    try:
        rates = RateRange(low=low, high=high, steps=steps)
    except ValueError as cause:
        raise RunError(f"lr-find: {cause}") from cause
    curve = find_rate(
        load_recipe(recipe, catalog, overrides),
        rates,
        catalog=catalog,
        loading=Loading(cache=cache, base=recipe.parent),
    )
    rows = list(zip(curve.rates, curve.losses, curve.smoothed, strict=True))
    if out is not None:
        lines = [f"{rate!r},{loss!r},{mean!r}" for rate, loss, mean in rows]
        write_file(out, "\n".join(["rate,loss,smoothed", *lines, ""]).encode())
    echo(f"{'rate':>10}  {'loss':>10}")
    for rate, _, mean in rows[:: max(1, len(rows) // SHOWN)]:
        echo(f"{rate:10.3g}  {mean:10.4g}")
    if curve.diverged:
        echo(f"the loss diverged after the rate {rows[-1][0]:.3g}")
    echo(f"suggested: --set optimizer.lr={curve.suggestion:.2g}")
