"""``mtlkit affinity``: propose groups of tasks to train together."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.cli.options import folder_option, set_option
from mtlkit.plugins.command_options import cache_option
from mtlkit.printable import echo


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
@click.option(
    "--groups", type=click.IntRange(min=1), default=2, show_default=True,
    help="Largest number of groups, each with a separate network.",
)  # fmt: skip
@click.option(
    "--every", type=click.IntRange(min=1), default=10, show_default=True,
    help="Updates from one measurement to the next.",
)  # fmt: skip
@folder_option(
    "Also write the affinities, their picture, and a recipe for each group to this folder."
)
@cache_option
def affinity(
    recipe: Path, overrides: tuple[str, ...], groups: int, every: int, out: Path | None, cache: Path
) -> None:
    """Train RECIPE in memory, measure how much a step for one task reduces the loss of another.

    Prints the mean reduction in percent, and groups of tasks that help each other (TAG; Fifty et
    al. 2021). The network of the training is not kept.
    """
    from mtlkit.atomic_files import make_folder, write_file
    from mtlkit.cli.commands.list import echo_table
    from mtlkit.data.source import Loading
    from mtlkit.errors import RecipeError
    from mtlkit.recipe_io import dump_recipe, load_recipe
    from mtlkit.report.affinity import draw_affinity
    from mtlkit.runs.affinity import recipe_of_group, task_affinity
    from mtlkit.runs.storage.folder import write_json

    catalog = current_catalog()
    chosen = load_recipe(recipe, catalog, overrides)
    loading = Loading(cache=cache, base=recipe.parent)
    result = task_affinity(chosen, every, catalog=catalog, loading=loading)
    echo(f"reduction in % of the loss of each column by a step for each row, mean of "
         f"{result.updates} updates")  # fmt: skip
    rows = [
        (task, *("-" if i == j else f"{100 * value:.3g}" for j, value in enumerate(row)))
        for i, (task, row) in enumerate(zip(result.tasks, result.values, strict=True))
    ]
    echo_table([("", *result.tasks), *rows])
    proposed = result.groups(groups)
    for number, group in enumerate(proposed, start=1):
        echo(f"group {number}: {', '.join(group)}")
    if out is None:
        return
    make_folder(out)
    recipes = set(out.glob("group-*.yaml"))  # of an earlier call
    for number, group in enumerate(proposed, start=1):
        try:
            text = dump_recipe(recipe_of_group(chosen, group), catalog)
        except RecipeError as cause:
            echo(f"group {number} has no recipe: {cause}")
        else:
            path = out / f"group-{number}.yaml"
            write_file(path, text.encode())
            recipes.discard(path)
    for path in recipes:
        path.unlink(missing_ok=True)
    write_file(out / "affinity.svg", draw_affinity(result.tasks, result.values).encode())
    values = [[None if x != x else x for x in row] for row in result.values]
    facts = {"tasks": result.tasks, "values": values, "groups": proposed, "updates": result.updates}
    write_json(out / "affinity.json", facts)
    echo(f"picture: {out / 'affinity.svg'}")
