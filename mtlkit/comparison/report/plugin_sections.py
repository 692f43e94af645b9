"""The sections that plugins add to each problem of a study."""

import statistics
from collections.abc import Mapping

from mtlkit.comparison.analysis.evidence import deciding_budget
from mtlkit.comparison.results.store import StudyFolder
from mtlkit.comparison.results.study_results import StudyResults, read_study
from mtlkit.errors import RecipeError
from mtlkit.plugins.catalog import Catalog
from mtlkit.plugins.observers import Observers
from mtlkit.plugins.run_events import ProblemCompared
from mtlkit.recipe_io.load import load_recipe
from mtlkit.report.blocks import Section


def plugin_sections(folder: StudyFolder, catalog: Catalog) -> dict[str, tuple[Section, ...]]:
    """Return the sections of each problem that has some.

    A recipe that cannot be read any more, such as one of a plugin that was removed, gets none.
    """
    study, observers = read_study(folder.path), Observers(catalog.manager)
    sections = {}
    for problem in study.problems:
        try:
            recipe = load_recipe(folder.recipe(problem), catalog)
        except RecipeError:
            continue
        event = ProblemCompared(
            problem=problem,
            recipe=recipe,
            metrics=mean_metrics(study, problem),
            searched=searched_settings(study, problem),
        )
        sections[problem] = observers.comparison_sections(event)
    return {problem: added for problem, added in sections.items() if added}


def mean_metrics(study: StudyResults, problem: str) -> dict[str, Mapping[str, float]]:
    """Return the mean over seeds of each test metric, by method; the networks of tasks together."""
    means: dict[str, Mapping[str, float]] = {}
    for method in study.methods:
        by_name: dict[str, list[float]] = {}
        for record in study.finals(problem, method, deciding_budget(study)):
            for name, value in record.test.items():
                if record.task is None or name.startswith(f"{record.task}/"):
                    by_name.setdefault(name, []).append(value)
        if by_name:
            means[method] = {name: statistics.fmean(values) for name, values in by_name.items()}
    return means


def searched_settings(study: StudyResults, problem: str) -> dict[str, tuple[str, ...]]:
    """Return the settings that the search of each method changed from the recipe's, sorted."""
    changed = {}
    for method in study.methods:
        # the first trial has the recipe's own settings
        recipe_of = {
            record.task: record.settings
            for record in study.trials_of(problem, method)
            if record.trial == 0
        }
        changed[method] = {
            name
            for record in study.finals(problem, method, deciding_budget(study))
            if record.task in recipe_of  # else without a search
            for name, value in record.settings.items()
            if value != recipe_of[record.task].get(name)
        }
    return {method: tuple(sorted(names)) for method, names in changed.items() if names}
