"""The plan: every run that a comparison leads to, and which of them can be made now."""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from mtlkit.comparison.results.record import Budget, Record, Stage
from mtlkit.comparison.spec.comparison import EQUAL, Comparison, Method
from mtlkit.comparison.spec.recipes import own_settings, recipe_of, space_of
from mtlkit.recipe import Recipe
from mtlkit.runs.search import Searched, Settings, Tried, propose


@attrs.frozen(kw_only=True)
class MethodJob:
    """What is trained one after another: the trials of a method on a problem, then its final runs.

    A method that trains each task alone has a method_job for each `task`.
    """

    problem: str
    method: Method
    recipe: Recipe
    space: Mapping[str, Searched]
    task: str | None = None

    def trial(self, number: int, seed: int) -> Record:
        """What is known of a trial before it is made."""
        return self._record(stage=Stage.TRIAL, seed=seed, trial=number)

    def final(self, seed: int, budget: Budget) -> Record:
        """What is known of a final run before it is made."""
        return self._record(stage=Stage.FINAL, seed=seed, budget=budget)

    def _record(self, **known: object) -> Record:
        return Record(problem=self.problem, method=self.method.name, task=self.task, **known)  # type: ignore[arg-type]


def method_jobs(comparison: Comparison) -> list[MethodJob]:
    """The method_jobs of `comparison`, in the order in which they are begun."""
    found = []
    for name, problem in comparison.problems.items():
        for method in comparison.methods:
            for task in problem.recipe.tasks if method.alone else (None,):
                recipe = recipe_of(problem.recipe, method, task)
                space = space_of(recipe, method, comparison.tuning)
                found.append(
                    MethodJob(problem=name, method=method, recipe=recipe, space=space, task=task)
                )
    return found


def planned(comparison: Comparison) -> list[Record]:
    """Every run of `comparison`, as far as it is known beforehand.

    Those of the time budget that come to as many epochs as those of the other are the same runs.
    """
    return [
        record for method_job in method_jobs(comparison) for record in _all(method_job, comparison)
    ]


def _all(method_job: MethodJob, comparison: Comparison) -> Iterator[Record]:
    tuning = comparison.tuning
    yield from (method_job.trial(number, tuning.seed) for number in range(tuning.searches))
    for budget in comparison.budgets:
        yield from (method_job.final(seed, budget) for seed in comparison.seeds)


@attrs.frozen
class FinishedRuns:
    """The runs that ended, by their keys, and what follows from them."""

    records: Mapping[str, Record]

    def all_of(self, expected: Iterable[Record]) -> list[Record] | None:
        """The records of the runs that were `expected`; None while one is missing."""
        found = [self.records.get(record.key) for record in expected]
        whole = [record for record in found if record is not None]
        return whole if len(whole) == len(found) else None


@attrs.frozen(kw_only=True)
class ReadyRun:
    """A run that can be made now; `skip_reason` says why it cannot come to anything."""

    method_job: MethodJob
    record: Record  # with the settings to train with
    epochs: int | None = None  # where they are not the recipe's own
    skip_reason: str = ""


def ready_runs(
    method_job: MethodJob, comparison: Comparison, known: FinishedRuns
) -> list[ReadyRun]:
    """Return the runs of `method_job` that can start now, including those already begun."""
    tuning = comparison.tuning
    trials: list[Record] = []
    for number in range(tuning.searches):
        asked = method_job.trial(number, tuning.seed)
        found = known.records.get(asked.key)
        if found is None:
            settings = _proposed(method_job, trials, tuning.seed, number)
            return [ReadyRun(method_job=method_job, record=attrs.evolve(asked, settings=settings))]
        trials.append(found)
    scored = [trial for trial in trials if trial.score is not None]
    settings = own_settings(method_job.recipe, method_job.space)
    if scored:
        settings = dict(min(scored, key=lambda trial: trial.score or 0.0).settings)
    made = _made(method_job, comparison.seeds, comparison.budgets, known)
    if made:  # a trial that failed and was made again must not part the seeds of a method
        settings = dict(made[0].settings)
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
        if method_job.final(seed, budget).key not in known.records
    ]


def _proposed(method_job: MethodJob, trials: list[Record], seed: int, number: int) -> Settings:
    """The settings of the next trial; the recipe's own ones come first."""
    if number == 0 or not method_job.space:
        return own_settings(method_job.recipe, method_job.space)
    tried = [Tried(trial.settings, trial.score) for trial in trials if trial.score is not None]
    return propose(method_job.space, tried, seed=seed, number=number)


def _budgets(
    method_job: MethodJob, comparison: Comparison, known: FinishedRuns
) -> Iterator[tuple[Budget, int | None]]:
    """The budgets whose final runs can be made, and their epochs where they are not the recipe's.

    What a step costs is known once the runs of as many epochs are made.
    """
    if Budget.EPOCHS in comparison.budgets:
        yield Budget.EPOCHS, None
    if Budget.TIME in comparison.budgets:
        epochs = _epochs_in_time(method_job, comparison, known)
        if epochs is not None:
            yield Budget.TIME, epochs


def _epochs_in_time(
    method_job: MethodJob, comparison: Comparison, known: FinishedRuns
) -> int | None:
    """The epochs that take as long as those of `equal`; None while that is not known."""
    made = _made(method_job, comparison.seeds, [Budget.TIME], known)
    if made:  # more seeds, with other runs to measure, must not change what was begun
        return made[0].epochs
    own = step_seconds(method_job.problem, method_job.method, comparison, known)
    equal = step_seconds(method_job.problem, comparison.method(EQUAL), comparison, known)
    if own is None or equal is None:
        return None
    epochs = method_job.recipe.train.epochs
    return max(1, round(epochs * equal / own)) if own and equal else epochs


def _made(
    method_job: MethodJob, seeds: Iterable[int], budgets: Iterable[Budget], known: FinishedRuns
) -> list[Record]:
    """The final runs of a method_job that ended."""
    asked = [method_job.final(seed, budget).key for budget in budgets for seed in seeds]
    return [known.records[key] for key in asked if key in known.records]


def step_seconds(
    problem: str, method: Method, comparison: Comparison, known: FinishedRuns
) -> float | None:
    """What a step of `method` costs, in seconds: that of all its networks together.

    None while its runs of the other budget are not all made; 0 where all of them failed.
    """
    tasks = comparison.problems[problem].recipe.tasks if method.alone else (None,)
    total = 0.0
    for task in tasks:
        found = known.all_of(
            Record(problem=problem, method=method.name, task=task, stage=Stage.FINAL, seed=seed)
            for seed in comparison.seeds
        )
        if found is None:
            return None
        ran = [record for record in found if record.error is None and record.steps]
        if not ran:
            return 0.0
        # other work on the machine only ever slows a run down: the fastest tells the cost best
        total += min(record.seconds / record.steps for record in ran)
    return total
