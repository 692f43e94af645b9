"""``mtlkit face energy``: write the energy analysis of a run as a report page."""

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from mtlkit.plugins import OutputFile, cache_option, echo, write_file

if TYPE_CHECKING:
    from mtlkit import Recipe
    from mtlkit_face.energy.evaluator import Energy


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=OutputFile(),
    default=None,
    help="Output page, with its numbers next to it as JSON. Default: energy.html in RUN.",
)
@cache_option
def energy(run: Path, out: Path | None, cache: Path) -> None:
    """Analyze which dimensions of the features each task of RUN reads (Yin & Liu, eq. 13).

    Options are those of `face/energy` in the run's recipe. Without it, the task, split and gallery
    of its `face/identification` are used, and defaults otherwise.
    """
    from mtlkit import load_catalog, load_recipe
    from mtlkit.data import Loading
    from mtlkit.runs import (
        RunRecord,
        evaluation_to_json,
        load_trained,
        open_run,
        read_evaluation,
        render_page,
    )

    catalog = load_catalog()
    folder = open_run(run)
    recipe = load_recipe(folder.recipe, catalog)
    result = analysis_for(recipe).evaluate(load_trained(run, Loading(cache=cache), catalog))
    evaluation = attrs.evolve(
        read_evaluation(folder), headlines=(), metrics=result.metrics, sections=result.sections
    )
    page = out or folder.path / "energy.html"
    text = folder.recipe.read_text(encoding="utf-8")
    record = RunRecord(name=folder.path.absolute().name, evaluation=evaluation, recipe=text)
    write_file(page.with_suffix(".json"), evaluation_to_json(evaluation).encode())
    write_file(page, render_page(record).encode())
    width = max(map(len, result.metrics))
    for name, value in result.metrics.items():
        echo(f"{name:{width}}  {value:8.4g}")
    echo("", f"page: {page}")


def analysis_for(recipe: "Recipe") -> "Energy":
    """Return the analysis for a run of `recipe`."""
    from mtlkit_face.energy.evaluator import Energy
    from mtlkit_face.identification.evaluator import Identification

    for evaluator in recipe.evaluators:
        if isinstance(evaluator, Energy):
            return evaluator
    for evaluator in recipe.evaluators:
        if isinstance(evaluator, Identification) and evaluator.split != "train":
            return Energy(
                task=evaluator.task,
                subject=evaluator.subject,
                split=evaluator.split,
                gallery=evaluator.gallery,
            )
    return Energy()
