"""A task: its label, head, metrics and role."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import attrs

from mtlkit.adapters.base import Adapter
from mtlkit.component import Problem, member_of
from mtlkit.heads.base import Head
from mtlkit.heads.classification import Classification
from mtlkit.metrics.base import LABEL_UNIT, Metric, metric_named
from mtlkit.namespace import builtin
from mtlkit.targets.base import Target, nouns
from mtlkit.targets.class_label import ClassTarget
from mtlkit.targets.number import NumberTarget
from mtlkit.task_types import LossTerm, Reduction, Role

_UNSTATED = Classification()
"""The head of tasks without a head, compared by identity."""

_BUILT_IN = partial(builtin, "heads")


@attrs.frozen(kw_only=True)
class Task:
    """A task of a recipe: the label it predicts (None: the name of the task) and its head.

    In a recipe, a task without a head gets the default head of the type of label that the options
    of the data declare, such as `Regression` for a number. A default head of a plugin is set when a
    recipe file is read.

    `adapter` changes the kind of the features that the head reads. `reduction` weighs the samples
    in the mean loss of the task: by their numbers of present `elements`, such as labeled pixels, or
    all `samples` equally.

    `metrics` replace the head's default metrics. `primary` names the metric used in comparisons; by
    default it is the first one.

    >>> Task(target="yaw").role
    <Role.SIDE: 'side'>
    """

    target: str | None = None
    role: Role = attrs.field(default=Role.SIDE, validator=member_of(Role))
    head: Head = _UNSTATED
    adapter: Adapter | None = None
    reduction: Reduction = attrs.field(default=Reduction.ELEMENTS, validator=member_of(Reduction))
    metrics: tuple[Metric, ...] = ()
    primary: str | None = None

    @property
    def measured_by(self) -> tuple[Metric, ...]:
        """Metrics of the task, or the default metrics of its head if it lists none."""
        return self.metrics or self.head.default_metrics

    @property
    def primary_metric(self) -> Metric:
        """Metric used to compare runs on this task.

        >>> Task().primary_metric
        Accuracy()
        """
        if self.primary is None:
            return self.measured_by[0]
        return metric_named(self.measured_by, self.primary)

    def problems(self) -> Iterator[Problem]:
        """Yield the mistakes in the metrics, with paths in the task's options."""
        if not self.measured_by:
            head = type(self.head).__name__
            yield Problem(("metrics",), f"got none, and the head {head} has no default; list one")
            return
        for number, metric in enumerate(self.metrics):
            if not any(issubclass(target, metric.targets) for target in self.head.targets):
                head = f"{type(self.head).__name__}, which predicts {nouns(self.head.targets)}"
                yield Problem(
                    ("metrics", str(number)),
                    f"{metric.name!r} measures {nouns(metric.targets)}, got the head {head}; leave "
                    f"it out",
                )
        for name, count in Counter(metric.name for metric in self.measured_by).items():
            if count > 1:
                yield Problem(("metrics",), f"got {count} metrics named {name!r}; leave one out")
        if self.primary is not None:
            try:
                metric_named(self.measured_by, self.primary)
            except ValueError as cause:
                yield Problem(("primary",), str(cause))


def with_default_heads(
    tasks: Mapping[str, Task],
    labels: Mapping[str, type[Target]],
    find: Callable[[str], type[Head] | None] = _BUILT_IN,
) -> dict[str, Task]:
    """Return `tasks`, of which those without a head get the default head of their type of label.

    `labels` are the types of the labels that are known, and `find` returns the class of a head by
    its name, by default of a built-in one. A task whose label or head is unknown is unchanged.

    >>> tasks = with_default_heads({"age": Task(), "who": Task()}, {"age": NumberTarget})
    >>> [type(task.head).__name__ for task in tasks.values()]
    ['Regression', 'Classification']
    """
    heads = {
        name: head()
        for name, task in tasks.items()
        if task.head is _UNSTATED and (target := labels.get(task.target or name)) is not None
        if (head := find(target.default_head)) is not None
    }
    return {
        name: attrs.evolve(task, head=heads[name]) if name in heads else task
        for name, task in tasks.items()
    }


def mismatched_labels(
    tasks: Mapping[str, Task], labels: Mapping[str, type[Target]]
) -> dict[str, str]:
    """Return by task why its head cannot predict its label, of those with known types.

    >>> mismatched_labels({"age": Task()}, {})
    {}
    """
    return {
        name: reason
        for name, task in tasks.items()
        if (label := task.target or name) in labels
        if (reason := label_mismatch(label, labels[label], task.head)) is not None
    }


def label_mismatch(label: str, target: Target | type[Target], head: Head) -> str | None:
    """Return why `head` cannot predict a label of this type, and the head that does; else None.

    >>> from mtlkit.targets.vector import VectorTarget
    >>> label_mismatch("tip", VectorTarget, Classification()).partition("; ")[2]
    'use `head: {type: vector-regression}`'
    """
    kind = target if isinstance(target, type) else type(target)
    if issubclass(kind, head.targets):
        return None
    expected = ", ".join(sorted({one.shape for one in head.targets}))
    numbers = issubclass(kind, ClassTarget) and NumberTarget in head.targets
    return (
        f"the label {label!r} is {kind.noun} {kind.shape}, the head {type(head).__name__} predicts "
        f"{nouns(head.targets)} {expected}; "
        + ("list the label in `data.numeric` if it is a number, or " if numbers else "")
        + f"use `head: {{type: {kind.default_head}}}`"
    )


def loss_terms(tasks: Mapping[str, Task]) -> tuple[LossTerm, ...]:
    """Return a loss term for each task, in the order of the recipe.

    >>> [term.name for term in loss_terms({"pose": Task(), "light": Task()})]
    ['pose', 'light']
    """
    return tuple(
        LossTerm(name, name, task.role, targets=task.head.targets, reduction=task.reduction)
        for name, task in tasks.items()
    )


def shared_metrics(tasks: Mapping[str, Task]) -> dict[str, Metric]:
    """Return the metrics by name that are averaged over tasks: those that two or more have.

    A metric in the unit of a label has no mean over tasks.

    >>> list(shared_metrics({"pose": Task(), "light": Task()}))
    ['accuracy']
    """
    by_name: dict[str, list[Metric]] = {}
    for task in tasks.values():
        for metric in task.measured_by:
            by_name.setdefault(metric.name, []).append(metric)
    return {
        name: metrics[0]
        for name, metrics in by_name.items()
        if len(metrics) > 1 and len({(m.unit, m.higher_is_better) for m in metrics}) == 1
        if metrics[0].unit != LABEL_UNIT
    }
