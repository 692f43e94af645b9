"""Tuned scalarization: a search for constant loss weights, scored on the validation split.

A strong baseline according to Xin et al. (NeurIPS 2022) and Kurin et al. (NeurIPS 2022). Every
trial is a separate run, so a stopped search resumes where it was, and nothing is trained twice.
"""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtlkit.atomic_files import TEMPORARY, make_folder, write_file
from mtlkit.component import at_least, between, seed_number
from mtlkit.data.source import Loading
from mtlkit.errors import DataError, InterruptedRunError, NotFiniteError, RecipeError, RunError
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe
from mtlkit.recipe_io import dump_recipe
from mtlkit.report.tuning import TrialPoint, draw_trials
from mtlkit.runs.fit_once import fit_once, mean_ratio, validation_values
from mtlkit.runs.progress_display import shown
from mtlkit.runs.run_data import load_data
from mtlkit.runs.storage.folder import FolderFile, RunFolder, read_json, write_json
from mtlkit.runs.tuning.search import Searched, Tried, propose, require_optuna
from mtlkit.task_types import LossTerm, Role
from mtlkit.training.devices.cores import refuse_too_many
from mtlkit.weightings.fixed import Fixed


@attrs.frozen(kw_only=True)
class WeightSearch:
    """Settings of a search for weights: number of trials, bounds (in magnitudes) and seed.

    The bounds include 1, because equal weights are tried first.
    """

    trials: int = attrs.field(default=16, validator=at_least(1))
    lowest: float = attrs.field(default=0.01, validator=between(1e-9, 1))
    highest: float = attrs.field(default=10.0, validator=between(1, 1e9))
    seed: int = attrs.field(default=0, validator=seed_number())


@attrs.frozen(kw_only=True)
class WeightTrial:
    """One choice of weights and its results.

    `values` are the tasks' primary metrics on the validation split at the end. `score` is the mean,
    over the scored tasks, of the distance from the best possible value in units of the distance in
    the first trial, in which all weights are 1, or in the first one that did not fail. It is None
    if the trial failed, for the `reason` given.
    """

    number: int
    weights: Mapping[str, float]
    values: Mapping[str, float] = attrs.field(factory=dict)
    score: float | None = None
    reason: str = ""


@attrs.frozen
class TuneResult:
    """A search: its folder, and its trials so far."""

    path: Path
    trials: tuple[WeightTrial, ...] = ()

    @property
    def scored(self) -> list[tuple[float, WeightTrial]]:
        """The completed trials with their scores, the best one first."""
        pairs = [(trial.score, trial) for trial in self.trials if trial.score is not None]
        return sorted(pairs, key=lambda pair: pair[0])

    @property
    def best(self) -> WeightTrial:
        """The trial with the lowest score; requires at least one completed trial."""
        return self.scored[0][1]

    recipe = FolderFile("recipe.yaml", "The recipe with the best weights.")
    picture = FolderFile("tuning.svg", "The plot of the score over each weight.")
    table = FolderFile("trials.jsonl", "All trials, one JSON object per line.")

    def run(self, number: int) -> Path:
        """Return the folder of a trial's run, with its model and report."""
        return self.path / "trials" / f"{number:03d}"

    @property
    def report(self) -> Path:
        """The page that shows the run with the best weights."""
        return RunFolder(self.run(self.best.number)).report

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """Return the trials as rows, for pandas or polars: weights, primary metrics and scores."""
        return [
            {
                "trial": trial.number,
                "score": trial.score,
                "reason": trial.reason,
                **{f"weight/{name}": weight for name, weight in trial.weights.items()},
                **{f"value/{name}": value for name, value in trial.values.items()},
            }
            for trial in self.trials
        ]


def tune(
    recipe: Recipe,
    out: Path | str,
    search: WeightSearch | None = None,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
    quiet: bool = False,
) -> TuneResult:
    """Search constant loss weights for `recipe`, whose own weighting they replace.

    The first main loss keeps weight 1; the others are searched by Optuna's TPE, starting from equal
    weights. A trial is scored by the primary metrics of the main tasks, or of all tasks if none is
    main, on the validation split at its end; the test split is not used. A call with the same
    arguments resumes the search.

    Raises `RecipeError` if there is nothing to search, `DataError` without a validation split,
    `RunError` if the folder holds another search or every trial failed, `MissingExtraError`
    without Optuna, and `InterruptedRunError` after Ctrl-C.
    """
    refuse_too_many(recipe.train.threads, recipe.train.workers)
    search, loading = search or WeightSearch(), loading or Loading()
    catalog = catalog or load_catalog()
    original, recipe = recipe, _without_test(recipe).check(catalog.op_table)
    names = searched_losses(recipe.terms())
    _require_best_values(recipe)
    require_optuna()
    if load_data(recipe, loading).validation is None:
        raise DataError(
            "a search for weights is scored on the validation split, and this data has none; "
            "set a part aside for it in the data's options"
        )
    tuned, progress = _begun(Path(out), recipe, search, catalog), shown(quiet=quiet)
    try:
        for number in range(search.trials):
            weights = _proposed(names, search, tuned)
            text = " ".join(f"{name} {value:.4g}" for name, value in weights.items())
            progress.write(f"trial {number + 1} of {search.trials}: {text}")
            trial_recipe = attrs.evolve(recipe, weighting=Fixed(weights=weights))
            trial = WeightTrial(number=number, weights=weights)
            trial = _scored(
                tuned, _tried(trial_recipe, tuned.run(number), trial, catalog, loading), recipe
            )
            tuned = attrs.evolve(tuned, trials=(*tuned.trials, trial))
            _keep(tuned)
            progress.write(_score_text(tuned, trial))
    except InterruptedRunError as cause:
        raise InterruptedRunError(
            f"{out}: stopped in trial {len(tuned.trials) + 1} of {search.trials}; the same command "
            f"continues from there"
        ) from cause
    finally:
        progress.close()
    if not tuned.scored:
        raise RunError(f"{out}: every trial failed; the first one: {tuned.trials[0].reason}")
    best = attrs.evolve(original, weighting=Fixed(weights=tuned.best.weights))
    write_file(tuned.recipe, dump_recipe(best, catalog).encode())
    write_file(tuned.picture, _drawn(tuned, search).encode())
    return tuned


def _without_test(recipe: Recipe) -> Recipe:
    """Return the recipe of a trial, without the test split, which must not influence the choice."""
    train = attrs.evolve(recipe.train, test=False)
    return attrs.evolve(recipe, weighting=Fixed(), evaluators=(), train=train)


def searched_losses(terms: Sequence[LossTerm]) -> list[str]:
    """Return the losses whose weights are searched: all but the first main one, or the first."""
    kept = next((term for term in terms if term.role is Role.MAIN), terms[0])
    names = [term.name for term in terms if term is not kept]
    if not names:
        raise RecipeError(
            [f"tasks: {kept.name!r} is the only loss, so there is no weight to search; add a task"]
        )
    return names


def _proposed(names: Sequence[str], search: WeightSearch, tuned: TuneResult) -> dict[str, float]:
    """Return the weights of the next trial; equal ones come first."""
    if not tuned.trials:
        return dict.fromkeys(names, 1.0)
    space = {name: Searched(low=search.lowest, high=search.highest, log=True) for name in names}
    done = [Tried(trial.weights, trial.score) for trial in tuned.trials if trial.score is not None]
    proposal = propose(space, done, seed=search.seed, number=len(tuned.trials))
    return {name: float(value) for name, value in proposal.items()}


def _begun(out: Path, recipe: Recipe, search: WeightSearch, catalog: Catalog) -> TuneResult:
    """Create or reopen the search in `out`; raise `RunError` if it holds another search."""
    arguments = {"recipe": dump_recipe(recipe, catalog), **attrs.asdict(search)}
    file = out / "search.json"
    make_folder(out)
    if not file.exists():
        if any(not item.name.startswith(TEMPORARY) for item in out.iterdir()):
            raise RunError(f"{out}: is not empty; expected a new or empty folder for the search")
        write_json(file, arguments)
        return TuneResult(out)
    # a search with more trials is the same search, resumed
    differs = [name for name, value in read_json(file).items() if value != arguments[name]]
    if [name for name in differs if name != "trials"]:
        raise RunError(
            f"{out}: holds a search with another {' and '.join(differs)}; choose another folder, "
            f"or call with the same arguments to continue it"
        )
    write_json(file, arguments)
    return TuneResult(out)


def _tried(
    recipe: Recipe, path: Path, trial: WeightTrial, catalog: Catalog, loading: Loading
) -> WeightTrial:
    """Return the trial with its validation metrics, trained now or before."""
    try:
        fit_once(recipe, path, catalog=catalog, loading=loading)
    except NotFiniteError as cause:  # some weights diverge; the search continues with others
        return attrs.evolve(trial, reason=str(cause))
    return attrs.evolve(trial, values=validation_values(RunFolder(path), recipe))


def _scored_tasks(recipe: Recipe) -> list[str]:
    mains = [name for name, task in recipe.tasks.items() if task.role is Role.MAIN]
    return mains or list(recipe.tasks)


def _require_best_values(recipe: Recipe) -> None:
    for name in _scored_tasks(recipe):
        metric = recipe.tasks[name].primary_metric
        if not math.isfinite(metric.best):
            raise RecipeError(
                [
                    f"tasks.{name}.primary: {metric.name!r} has no best value, from which trials "
                    f"could be scored by their distance; name another metric"
                ]
            )


def _scored(tuned: TuneResult, trial: WeightTrial, recipe: Recipe) -> WeightTrial:
    """Return the trial with its score, in units of the first one."""
    first = next((earlier for earlier in (*tuned.trials, trial) if earlier.values), trial)
    tasks = [name for name in _scored_tasks(recipe) if name in first.values]
    if trial.reason:
        return trial
    if not tasks:
        reason = "no scored task has its primary metric on the validation split"
        return attrs.evolve(trial, reason=reason)
    best = {name: recipe.tasks[name].primary_metric.best for name in tasks}
    distances, unit = (
        {name: abs(best[name] - one.values.get(name, math.nan)) for name in tasks}
        for one in (trial, first)
    )
    score = mean_ratio(distances, unit)
    if not math.isfinite(score):
        return attrs.evolve(trial, reason="a primary metric is undefined or not finite")
    return attrs.evolve(trial, score=score)


def _keep(tuned: TuneResult) -> None:
    lines = [json.dumps(attrs.asdict(trial)) for trial in tuned.trials]
    write_file(tuned.table, "".join(f"{line}\n" for line in lines).encode())


def _drawn(tuned: TuneResult, search: WeightSearch) -> str:
    in_order = sorted(tuned.scored, key=lambda pair: pair[1].number)
    points = [TrialPoint(weights=trial.weights, score=score) for score, trial in in_order]
    return draw_trials(points, (search.lowest, search.highest))


def _score_text(tuned: TuneResult, trial: WeightTrial) -> str:
    if trial.score is None:
        return f"trial {trial.number + 1} failed: {trial.reason}"
    best = tuned.scored[0][0]
    return f"trial {trial.number + 1}: score {trial.score:.4f}, best so far {best:.4f}"
