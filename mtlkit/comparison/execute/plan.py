"""The plan: every run of a comparison, and the runs that can start now."""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from mtlkit.comparison.results.record import Budget, Record, Stage
from mtlkit.comparison.spec.comparison import EQUAL, Comparison, Method
from mtlkit.comparison.spec.recipes import own_settings, recipe_of, space_of
from mtlkit.recipe import Recipe
from mtlkit.runs.tuning.search import Searched, Settings, Tried, propose


@attrs.frozen(kw_only=True)
class MethodJob:
    """Runs in sequence: the trials of a method on a problem, then its final runs.

    A method that trains each task alone has a separate job for each `task`.
    """

    problem: str
    method: Method
    recipe: Recipe
    space: Mapping[str, Searched]
    task: str | None = None

    def trial(self, number: int, seed: int) -> Record:
        """Return the record of a trial before it runs."""
        return self._record(stage=Stage.TRIAL, seed=seed, trial=number)

    def final(self, seed: int, budget: Budget) -> Record:
        """Return the record of a final run before it runs."""
        return self._record(stage=Stage.FINAL, seed=seed, budget=budget)

    def _record(self, **known: object) -> Record:
        return Record(problem=self.problem, method=self.method.name, task=self.task, **known)  # type: ignore[arg-type]


def method_jobs(comparison: Comparison) -> list[MethodJob]:
    """Return the jobs of `comparison` in the order in which they start."""
    jobs = []
    for name, problem in comparison.problems.items():
        for method in comparison.methods:
            for task in problem.recipe.tasks if method.alone else (None,):
                recipe = recipe_of(problem.recipe, method, task)
                space = space_of(recipe, method, comparison.tuning)
                jobs.append(
                    MethodJob(problem=name, method=method, recipe=recipe, space=space, task=task)
                )
    return jobs


def planned(comparison: Comparison) -> list[Record]:
    """Return every run of `comparison`, as far as it is known in advance.

    A run of the time budget with as many epochs as one of the other budget is the same run.
    """
    tuning = comparison.tuning
    records: list[Record] = []
    for method_job in method_jobs(comparison):
        records += [method_job.trial(number, tuning.seed) for number in range(tuning.searches)]
        for budget in comparison.budgets:
            records += [method_job.final(seed, budget) for seed in comparison.seeds]
    return records


Ended = Mapping[str, Record]
"""The runs that ended, by their keys."""


@attrs.frozen(kw_only=True)
class ReadyRun:
    """A run that can start now; `skip_reason` is the reason to record it as failed instead."""

    method_job: MethodJob
    record: Record  # with the settings to train with
    epochs: int | None = None  # None: those of the recipe
    skip_reason: str = ""


def ready_runs(method_job: MethodJob, comparison: Comparison, known: Ended) -> list[ReadyRun]:
    """Return the runs of `method_job` that can start now, including those already begun."""
    tuning = comparison.tuning
    trials: list[Record] = []
    for number in range(tuning.searches):
        pending = method_job.trial(number, tuning.seed)
        ended = known.get(pending.key)
        if ended is None:
            settings = _proposed(method_job, trials, tuning.seed, number)
            return [
                ReadyRun(method_job=method_job, record=attrs.evolve(pending, settings=settings))
            ]
        trials.append(ended)
    scored = [trial for trial in trials if trial.score is not None]
    settings = own_settings(method_job.recipe, method_job.space)
    if scored:
        settings = dict(min(scored, key=lambda trial: trial.score or 0.0).settings)
    finals = _made(method_job, comparison.seeds, comparison.budgets, known)
    if finals:  # all seeds keep their settings, even if a failed trial is run again
        settings = dict(finals[0].settings)
    skip_reason = "no trial came to its end" if trials and not scored else ""
    return [
        ReadyRun(
            method_job=method_job,
            record=attrs.evolve(method_job.final(seed, budget), settings=settings),
            epochs=epochs,
            skip_reason=skip_reason,
        )
        for budget, epochs in _budgets(method_job, comparison, known)
        for seed in comparison.seeds
        if method_job.final(seed, budget).key not in known
    ]


def _proposed(method_job: MethodJob, trials: list[Record], seed: int, number: int) -> Settings:
    """Return the settings of the next trial; those of the recipe come first."""
    if number == 0 or not method_job.space:
        return own_settings(method_job.recipe, method_job.space)
    tried = [Tried(trial.settings, trial.score) for trial in trials if trial.score is not None]
    return propose(method_job.space, tried, seed=seed, number=number)


def _budgets(
    method_job: MethodJob, comparison: Comparison, known: Ended
) -> Iterator[tuple[Budget, int | None]]:
    """Yield the budgets whose final runs can start, with epochs if they differ from the recipe's.

    The cost of a step is known once the runs of the epochs budget have ended.
    """
    if Budget.EPOCHS in comparison.budgets:
        yield Budget.EPOCHS, None
    if Budget.TIME in comparison.budgets:
        epochs = _epochs_in_time(method_job, comparison, known)
        if epochs is not None:
            yield Budget.TIME, epochs


def _epochs_in_time(method_job: MethodJob, comparison: Comparison, known: Ended) -> int | None:
    """Return the epochs that take as long as those of `equal`; None while unknown."""
    finals = _made(method_job, comparison.seeds, [Budget.TIME], known)
    if finals:  # new measurements from added seeds must not change the epochs
        return finals[0].epochs
    cost = step_seconds(method_job.problem, method_job.method, comparison, known)
    equal = step_seconds(method_job.problem, comparison.method(EQUAL), comparison, known)
    if cost is None or equal is None:
        return None
    epochs = method_job.recipe.train.epochs
    return max(1, round(epochs * equal / cost)) if cost and equal else epochs


def _made(
    method_job: MethodJob, seeds: Iterable[int], budgets: Iterable[Budget], known: Ended
) -> list[Record]:
    """Return the final runs of a job that ended."""
    keys = [method_job.final(seed, budget).key for budget in budgets for seed in seeds]
    return [known[key] for key in keys if key in known]


def step_seconds(
    problem: str, method: Method, comparison: Comparison, known: Ended
) -> float | None:
    """Return the seconds of a step of `method`, summed over all its networks.

    None until all its runs of the epochs budget have ended; 0 if all of them failed.
    """
    tasks = comparison.problems[problem].recipe.tasks if method.alone else (None,)
    total = 0.0
    for task in tasks:
        runs = [
            Record(problem=problem, method=method.name, task=task, stage=Stage.FINAL, seed=seed)
            for seed in comparison.seeds
        ]
        if not all(run.key in known for run in runs):
            return None
        records = [known[run.key] for run in runs]
        ran = [record for record in records if record.error is None and record.steps]
        if not ran:
            return 0.0
        # other load on the machine only slows a run down: the fastest measures the cost best
        total += min(record.seconds / record.steps for record in ran)
    return total
