"""A study: a comparison executed in a folder, resumable until it is complete."""

import contextlib
import platform
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from mtlkit.comparison.execute.console import ConsoleReporter
from mtlkit.comparison.execute.executor_config import ExecutorConfig
from mtlkit.comparison.execute.plan import planned
from mtlkit.comparison.execute.runner import Runner
from mtlkit.comparison.execute.trial_scores import SELECTION
from mtlkit.comparison.report.dependencies import require_libraries
from mtlkit.comparison.report.write import write_reports
from mtlkit.comparison.results.record import Budget, TaskMetric
from mtlkit.comparison.results.store import StudyFolder, begin, refuse_another
from mtlkit.comparison.spec.comparison import BASELINES, Comparison
from mtlkit.comparison.spec.data_checks import metrics_of
from mtlkit.data.source import Loading
from mtlkit.errors import MtlkitError, RunError
from mtlkit.plugins.catalog import Catalog
from mtlkit.recipe_io import dump_recipe
from mtlkit.recipe_io.dump import dump_plain, plain
from mtlkit.runs.progress_display import shown
from mtlkit.runs.storage.folder import read_json
from mtlkit.runs.storage.numerics import PACKAGES, package_version
from mtlkit.runs.tuning.search import require_optuna
from mtlkit.training.devices.cores import available_cores, refuse_too_many


def run_study(
    comparison: Comparison,
    out: Path,
    *,
    catalog: Catalog,
    loading: Loading,
    executor_config: ExecutorConfig | None = None,
    retry_failed: bool = False,
    quiet: bool = False,
) -> StudyFolder:
    """Execute the runs of `comparison` that are missing in the folder `out`.

    A run that fails is recorded with its error. The reports are written even if the study does not
    finish. Raises `RunError` if the folder holds another study or another process is using it,
    `DataError` if the data is insufficient, `InterruptedRunError` after Ctrl-C, and
    `MissingExtraError` without the extra ``compare``.
    """
    # a worker may have another working directory
    folder = StudyFolder(out.absolute())
    executor_config = attrs.evolve(
        executor_config or ExecutorConfig(), resources=comparison.resources
    )
    comparison, loading = _from_anywhere(comparison, loading)
    require_libraries()  # fail before hours of training, not after
    if comparison.tuning.searches:
        require_optuna("compare")
    with folder.locked():
        threads = _threads(folder, executor_config)
        comparison = resolved(comparison, folder, executor_config)
        progress = shown(quiet=quiet)
        try:
            loading = attrs.evolve(loading, progress=progress.loading)
            metrics = metrics_of(comparison, loading)
        finally:
            progress.close()
        _write(folder, comparison, metrics, catalog, threads)
        for record in folder.mend(without_failed=retry_failed):
            _discard(folder, record.key)
        loading = Loading(cache=loading.cache, workers=executor_config.threads)

        def on_lost(key: str, reason: str) -> None:
            folder.append_loss(key, reason)
            lines.on_lost(key, reason)

        try:
            with contextlib.closing(executor_config.executor(on_lost)) as executor:
                plan = planned(comparison)
                lines = ConsoleReporter(plan, folder.records(), executor.slots, quiet=quiet)
                Runner(
                    comparison, folder, executor, catalog, loading, lines.on_record, metrics
                ).run()
        except BaseException:
            with contextlib.suppress(MtlkitError):  # do not hide the first error
                write_reports(folder.path, catalog)  # also reports an incomplete study
            raise
        write_reports(folder.path, catalog)
    return StudyFolder(out)


def _from_anywhere(comparison: Comparison, loading: Loading) -> tuple[Comparison, Loading]:
    """Return the comparison and the loading options with absolute paths."""
    problems = {
        name: attrs.evolve(problem, base=problem.base.absolute())
        for name, problem in comparison.problems.items()
    }
    cache = loading.cache.absolute() if loading.cache is not None else None
    return attrs.evolve(comparison, problems=problems), attrs.evolve(loading, cache=cache)


def resolved(
    comparison: Comparison, folder: StudyFolder, executor_config: ExecutorConfig
) -> Comparison:
    """Return the comparison with the threads and the device type of this machine.

    A recipe that states its threads keeps them.
    """
    threads = _threads(folder, executor_config)
    problems = {}
    for name, problem in comparison.problems.items():
        train = problem.recipe.train
        # a study may continue on a smaller machine, and a cluster has others than this one
        if not (folder.study.exists() or executor_config.cluster):
            refuse_too_many(train.threads, train.workers)
        if train.steps is not None and Budget.TIME in comparison.budgets:
            raise RunError(
                f"problems.{name}: train.steps: got {train.steps}, expected null with the budget "
                f"`time`, which is measured in epochs; use `train.epochs`"
            )
        train = attrs.evolve(
            train,
            threads=threads if train.threads == "auto" else train.threads,
            device=executor_config.device_type or train.device,
        )
        recipe = attrs.evolve(problem.recipe, train=train)
        problems[name] = attrs.evolve(problem, recipe=recipe)
    return attrs.evolve(comparison, problems=problems)


def _threads(folder: StudyFolder, executor_config: ExecutorConfig) -> int:
    """Return the threads of a run whose recipe sets none.

    A study keeps its first number of threads: another number changes the last bits of sums.
    """
    if not folder.study.exists():
        return executor_config.threads
    threads: int = read_json(folder.study)["threads"]
    return threads


def _write(
    folder: StudyFolder,
    comparison: Comparison,
    metrics: list[TaskMetric],
    catalog: Catalog,
    threads: int,
) -> None:
    described = describe(comparison, catalog)
    methods = [method.name for method in comparison.methods]
    known = {method.name for method in BASELINES}
    study: dict[str, Any] = {
        "primary_metrics": [attrs.asdict(metric) for metric in metrics if metric.primary],
        "other_metrics": [attrs.asdict(metric) for metric in metrics if not metric.primary],
        "reference": {name: name for name in ("single-task", "equal") if name in methods},
        "methods": methods,
        "baselines": [name for name in methods if name in known],
        "without": dict(comparison.without),
        "problems": list(comparison.problems),
        "trials": comparison.tuning.searches,
        "runs": len(planned(comparison)),
        "selection": SELECTION,
        # the machine of the first run
        "machine": read_json(folder.study)["machine"] if folder.study.exists() else _machine(),
        "threads": threads,
        **_identity(comparison, described),
    }
    text = dump_plain(_file(described, comparison))
    begin(folder, study, text, _recipes(comparison, catalog))


def refuse_another_study(comparison: Comparison, folder: StudyFolder, catalog: Catalog) -> None:
    """Raise `RunError` if `run_study` would refuse `folder` for the resolved `comparison`."""
    stated = _identity(comparison, describe(comparison, catalog))
    refuse_another(folder, stated, _recipes(comparison, catalog))


def _identity(comparison: Comparison, described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values, in addition to the recipes, that identify a study."""
    return {
        "seeds": list(comparison.seeds),
        "budgets": [budget.value for budget in comparison.budgets],
        "fixed": {"tuning": described["tuning"], "methods": described["methods"]},
    }


def _recipes(comparison: Comparison, catalog: Catalog) -> dict[str, str]:
    """Return the text of the recipe of each problem."""
    return {
        name: dump_recipe(problem.recipe, catalog) for name, problem in comparison.problems.items()
    }


def describe(comparison: Comparison, catalog: Catalog) -> dict[str, Any]:
    """Return the search and the methods as plain values; with the recipes they define the runs."""
    return {
        "tuning": plain(comparison.tuning, catalog),
        "methods": {method.name: plain(method, catalog) for method in comparison.methods},
    }


def _file(described: Mapping[str, Any], comparison: Comparison) -> dict[str, Any]:
    """Return the content of a comparison file that refers to the recipes of the study."""
    known = {method.name for method in BASELINES}
    return {
        "problems": {
            name: {
                "recipe": f"recipes/{name}.yaml",
                "primary_metrics": {
                    task: attrs.asdict(metric) for task, metric in problem.primary_metrics.items()
                },
            }
            for name, problem in comparison.problems.items()
        },
        "weightings": [
            {key: method[key] for key in ("name", "weighting", "search")}
            for name, method in described["methods"].items()
            if name not in known
        ],
        "seeds": list(comparison.seeds),
        "tuning": described["tuning"],
        "budgets": [budget.value for budget in comparison.budgets],
        "without": dict(comparison.without),
        "resources": attrs.asdict(comparison.resources),
    }


def _machine() -> dict[str, Any]:
    """Return the environment of the study, without names of persons, machines or folders."""
    return {
        "versions": {package: package_version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": available_cores(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _discard(folder: StudyFolder, key: str) -> None:
    """Remove the folder of a failed run, so that the run starts anew."""
    path = folder.run(key)
    if path.is_symlink():
        raise RunError(f"{path}: is a link; expected the folder of a run")
    shutil.rmtree(path, ignore_errors=True)
