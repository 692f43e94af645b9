"""Runs that are executed once: started, resumed, or reused if finished."""

from collections.abc import Mapping
from pathlib import Path

from mtlkit.data.source import Loading
from mtlkit.loggers.events import EvaluationEvent
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe
from mtlkit.runs.fit import begin
from mtlkit.runs.logs import read_log
from mtlkit.runs.storage.folder import RunFolder, State


def fit_once(
    recipe: Recipe, path: Path, *, catalog: Catalog, loading: Loading, report: bool = True
) -> None:
    """Complete the run of `recipe` in the folder `path`: start it, resume it, or reuse it.

    Raises the errors of `fit`, and `RunError` if the folder holds the run of another recipe.
    """
    if not is_made(RunFolder(path), dump_recipe(recipe, catalog)):
        begin(
            recipe,
            path,
            catalog=catalog,
            loading=loading,
            quiet=True,
            report=report,
            or_resume=True,
        )


def is_made(folder: RunFolder, recipe: str) -> bool:
    """Return whether `folder` holds the finished run of the resolved `recipe`."""
    same_recipe = folder.recipe.exists() and folder.recipe.read_bytes() == recipe.encode()
    return same_recipe and folder.status_file.exists() and folder.status().state is State.FINISHED


def validation_values(folder: RunFolder, recipe: Recipe) -> dict[str, float]:
    """Return the primary metric of each task on the validation split at the end, if defined."""
    events = [event for event in read_log(folder) if isinstance(event, EvaluationEvent)]
    metrics: Mapping[str, float] = events[-1].metrics if events else {}
    names = {task: f"{task}/{value.primary_metric.name}" for task, value in recipe.tasks.items()}
    return {task: metrics[name] for task, name in names.items() if name in metrics}


def mean_ratio(losses: Mapping[str, float], unit: Mapping[str, float]) -> float:
    """Return the mean, over the tasks of `losses`, of the ratio of each loss to that in `unit`.

    >>> mean_ratio({"pose": 1.0, "light": 3.0}, {"pose": 2.0, "light": 2.0})
    1.0
    """
    ratios = [loss / max(unit[task], 1e-12) for task, loss in losses.items()]
    return sum(ratios) / len(ratios)
