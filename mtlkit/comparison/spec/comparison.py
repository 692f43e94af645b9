"""The comparison as a value: methods, problems, budgets and primary metrics."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from mtlkit.comparison.results.record import Budget
from mtlkit.comparison.spec.resources import Resources
from mtlkit.component import at_least, seed_number
from mtlkit.metrics.base import Metric, metric_named
from mtlkit.recipe import Recipe
from mtlkit.runs.tuning.search import Searched
from mtlkit.task import Task
from mtlkit.weightings.base import Weighting
from mtlkit.weightings.equal import Equal
from mtlkit.weightings.fixed import Fixed
from mtlkit.weightings.log import Log
from mtlkit.weightings.rlw import RLW

WEIGHTS = "weighting.weights."
"""Prefix of the path of a constant weight; the name of the loss follows."""


@attrs.frozen(kw_only=True)
class PrimaryMetric:
    """Primary metric of a task in the comparison, instead of that of the recipe.

    The metric of a task declares its direction itself. `higher_is_better` sets that of a number
    of an evaluator; without it, higher is better.
    """

    metric: str  # as a final run measures it, such as pose/accuracy or identification/rank1
    higher_is_better: bool | None = None

    def declared_by(self, tasks: Mapping[str, Task]) -> Metric | None:
        """Return the task's metric that this is; None for a loss or a number of an evaluator.

        Raise `ValueError` if the task that it names has no such metric.
        """
        task, _, name = self.metric.partition("/")
        if task not in tasks or name == "loss":
            return None
        return metric_named(tasks[task].measured_by, name.removeprefix("branches/"))

    def direction(self, tasks: Mapping[str, Task]) -> bool:
        """Return whether higher is better.

        >>> PrimaryMetric(metric="pose/accuracy").direction({"pose": Task()})
        True
        >>> PrimaryMetric(metric="pose/loss").direction({"pose": Task()})
        False
        """
        declared = self.declared_by(tasks)
        if declared is not None:
            return declared.higher_is_better
        if self.metric.endswith("/loss"):
            return False
        return self.higher_is_better is not False


@attrs.frozen(kw_only=True)
class Compared:
    """A problem: its recipe, whose weighting the methods replace, and its primary metrics.

    `base` is where the recipe's relative paths start. A task that `primary_metrics` leaves out is
    compared by the primary metric of the recipe.
    """

    recipe: Recipe
    base: Path
    primary_metrics: Mapping[str, PrimaryMetric] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Method:
    """A weighting, with its own search in addition to the one that all methods share.

    With `alone`, a separate network is trained for each task. With `searches_weights`, constant
    weights are searched within `BOUNDS`, too.
    """

    name: str
    weighting: Weighting
    search: Mapping[str, Searched] = attrs.field(factory=dict)
    alone: bool = False
    searches_weights: bool = False


BOUNDS = Searched(low=0.01, high=10.0, log=True)
"""Search range of constant weights, as in `mtlkit tune`."""

SINGLE_TASK = "single-task"
EQUAL = "equal"

BASELINES = (
    Method(name=SINGLE_TASK, weighting=Equal(), alone=True),
    Method(name=EQUAL, weighting=Equal()),
    Method(name="log", weighting=Log()),
    Method(name="tuned", weighting=Fixed(), searches_weights=True),
    Method(name="rlw", weighting=RLW()),
)
"""Methods in every comparison: strong baselines and a placebo."""


@attrs.frozen(kw_only=True)
class Tuning:
    """The search of every method: a number of trials, each trained with `seed`.

    The first trial has the recipe's own settings. Fewer than two trials disable the search.
    """

    trials: int = attrs.field(default=1, validator=at_least(0))
    seed: int = attrs.field(default=0, validator=seed_number())
    search: Mapping[str, Searched] = attrs.field(factory=dict)

    @property
    def searches(self) -> int:
        """The number of trials to train; zero if there would be only one."""
        return self.trials if self.trials > 1 else 0


@attrs.frozen(kw_only=True)
class Comparison:
    """Methods and problems to run, independent of the machine.

    `methods` begin with the baselines, except those that `without` omits with a reason.
    """

    problems: Mapping[str, Compared]
    methods: tuple[Method, ...]
    seeds: tuple[int, ...]
    tuning: Tuning = attrs.field(factory=Tuning)
    budgets: tuple[Budget, ...] = (Budget.EPOCHS,)
    without: Mapping[str, str] = attrs.field(factory=dict)
    resources: Resources = attrs.field(factory=Resources)  # of each run; changes no result

    @classmethod
    def of(
        cls,
        problems: Mapping[str, Recipe],
        weightings: Mapping[str, Weighting],
        *,
        seeds: int | Sequence[int] = 5,
        tuning: Tuning | None = None,
        budgets: Sequence[Budget] = (Budget.EPOCHS,),
        without: Mapping[str, str] | None = None,
        resources: Resources | None = None,
    ) -> "Comparison":
        """Return the comparison of named weightings, and the baselines, on named recipes.

        `seeds` is their number, or the seeds. Relative paths in the recipes start from the working
        directory. `without` gives the reason for each baseline that is left out.
        """
        without = without or {}
        baselines = [method for method in BASELINES if method.name not in without]
        added = [Method(name=name, weighting=value) for name, value in weightings.items()]
        return cls(
            problems={name: Compared(recipe=one, base=Path()) for name, one in problems.items()},
            methods=(*baselines, *added),
            seeds=tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds),
            tuning=tuning or Tuning(),
            budgets=tuple(budgets),
            without=without,
            resources=resources or Resources(),
        )

    def method(self, name: str) -> Method:
        """Return the method called `name`, which must exist."""
        return next(method for method in self.methods if method.name == name)
