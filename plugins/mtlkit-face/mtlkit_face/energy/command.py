"""``mtlkit face energy``: the analysis of a run, on a page of its own."""

from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import click

from mtlkit.plugins import cache_option

if TYPE_CHECKING:
    from mtlkit import Recipe
    from mtlkit_face.energy.evaluator import Energy


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="The page; its numbers lie beside it as JSON. By default energy.html in RUN.",
)
@cache_option
def energy(run: Path, out: Path | None, cache: Path) -> None:
    """Analyse which dimensions of the features each task of RUN reads (Yin & Liu, eq. 13).

    It is asked as the run's recipe asks `face/energy`; where it does not, with the task, split and
    gallery of its `face/identification`, or else with the defaults.
    """
    from mtlkit import load_catalog, load_recipe
    from mtlkit.data import Loading
    from mtlkit.report import RunRecord, evaluation_to_json, render_page
    from mtlkit.runs import load_trained, open_run, read_evaluation
    from mtlkit_face.inference.atomic_file import atomic_path

    catalog = load_catalog()
    folder = open_run(run)
    recipe = load_recipe(folder.recipe, catalog)
    asked = asked_of(recipe)
    found = asked.evaluate(load_trained(run, Loading(cache=cache), catalog))
    evaluation = attrs.evolve(
        read_evaluation(folder), headlines=(), metrics=found.metrics, sections=found.sections
    )
    page = out or folder.path / "energy.html"
    text = folder.recipe.read_text(encoding="utf-8")
    record = RunRecord(name=folder.path.absolute().name, evaluation=evaluation, recipe=text)
    with atomic_path(page) as place:
        place.write_text(render_page(record), encoding="utf-8")
    with atomic_path(page.with_suffix(".json")) as place:
        place.write_text(evaluation_to_json(evaluation), encoding="utf-8")
    width = max(map(len, found.metrics))
    for name, value in found.metrics.items():
        click.echo(f"{name:{width}}  {value:8.4g}")
    click.echo(f"\npage: {page}")


def asked_of(recipe: "Recipe") -> "Energy":
    """The analysis that suits a run of `recipe`."""
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
