"""A run that is made once: trained now, gone on with, or found as it was left."""

from collections.abc import Mapping
from pathlib import Path

from mtlkit.data.source import Loading
from mtlkit.errors import RunError
from mtlkit.loggers.events import EvaluationEvent
from mtlkit.loggers.read_events import read_events
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe
from mtlkit.runs.fit import fit, resume
from mtlkit.runs.folder import RunFolder, State
from mtlkit.training.checkpoint import remove_half_written, saved_steps


def fit_once(
    recipe: Recipe, path: Path, *, catalog: Catalog, loading: Loading, report: bool = True
) -> None:
    """Have the run of `recipe` in the folder `path`, with as little work as that takes.

    Raises what `fit` and `resume` do, and `RunError` where the folder holds the run of another
    recipe.
    """
    folder, written = RunFolder(path), dump_recipe(recipe, catalog)
    if not folder.recipe.exists():
        if folder.path.is_dir():
            _begin_anew(folder)
        fit(recipe, path, catalog=catalog, loading=loading, quiet=True, report=report)
        return
    if folder.recipe.read_text("utf-8") != written:
        raise RunError(
            f"{path}: was trained by another recipe than is now asked for, which another "
            f"version of Optuna can do to a search; choose another folder"
        )
    if not is_made(folder, written):
        resume(path, catalog=catalog, loading=loading, quiet=True, report=report)


def _begin_anew(folder: RunFolder) -> None:
    """Remove what a run leaves that was killed before it had its recipe."""
    with folder.locked():
        remove_half_written(folder.path)
        if not folder.recipe.exists() and not saved_steps(folder.checkpoints):
            folder.discard()


def is_made(folder: RunFolder, recipe: str) -> bool:
    """Whether the run of the resolved `recipe` came to its end in `folder`."""
    mine = folder.recipe.exists() and folder.recipe.read_text("utf-8") == recipe
    return mine and folder.status_file.exists() and folder.status().state is State.FINISHED


def validation_losses(folder: RunFolder, recipe: Recipe) -> dict[str, float]:
    """The losses on the validation split at the end, of the tasks that have labels there."""
    events = [event for event in read_events(folder.log) if isinstance(event, EvaluationEvent)]
    metrics: Mapping[str, float] = events[-1].metrics if events else {}
    return {task: metrics[f"{task}/loss"] for task in recipe.tasks if f"{task}/loss" in metrics}


def mean_ratio(losses: Mapping[str, float], unit: Mapping[str, float]) -> float:
    """The mean, over the tasks of `losses`, of each loss in units of that in `unit`.

    >>> mean_ratio({"pose": 1.0, "light": 3.0}, {"pose": 2.0, "light": 2.0})
    1.0
    """
    ratios = [loss / max(unit[task], 1e-12) for task, loss in losses.items()]
    return sum(ratios) / len(ratios)
