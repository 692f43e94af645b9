"""``mtlkit tune``: search constant loss weights for a recipe."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import folder_option, quiet_option, set_option
from mtlkit.plugins.command_options import cache_option
from mtlkit.printable import echo


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="How many choices of weights are trained, equal weights being the first.",
)
@click.option(
    "--between",
    type=float,
    nargs=2,
    default=(0.01, 10.0),
    show_default=True,
    metavar="LOW HIGH",
    help="The bounds of a weight; in between, magnitudes are equally likely at first.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**64 - 1), default=0, help="The seed of the search."
)
@folder_option("The search's folder; by default runs/, the recipe's name and -tuned.")
@cache_option
@quiet_option
def tune(
    recipe: Path,
    overrides: tuple[str, ...],
    trials: int,
    between: tuple[float, float],
    seed: int,
    out: Path | None,
    cache: Path,
    quiet: bool,
) -> None:
    """Search constant loss weights for what the file RECIPE describes.

    They replace the recipe's own weighting. The first main loss keeps weight 1; trials are scored
    by the primary metrics of the main tasks on the validation split. The same command continues
    a search that was stopped.
    """
    from mtlkit.data.source import Loading
    from mtlkit.recipe_io import load_recipe
    from mtlkit.runs.tuning.tune import WeightSearch
    from mtlkit.runs.tuning.tune import tune as search_weights

    lowest, highest = between
    if not 0 < lowest <= 1 <= highest or lowest == highest:
        raise click.BadParameter(
            f"--between: expected LOW above 0 and 1 from LOW to HIGH, for equal weights are tried "
            f"first; got {lowest:g} and {highest:g}"
        )
    catalog = current_catalog()
    tuned = search_weights(
        load_recipe(recipe, catalog, overrides),
        out or Path("runs") / f"{recipe.stem}-tuned",
        WeightSearch(trials=trials, lowest=lowest, highest=highest, seed=seed),
        catalog=catalog,
        loading=Loading(cache=cache, base=recipe.parent),
        quiet=quiet,
    )
    best = tuned.best
    shown = " ".join(f"{name} {value:.4g}" for name, value in best.weights.items())
    echo(f"best weights: {shown} (trial {best.number + 1}, score {best.score:.4f})")
    echo(f"recipe:  {tuned.recipe}", f"run:     {tuned.run(best.number)}")
    echo(f"picture: {tuned.picture}", f"trials:  {tuned.table}")
