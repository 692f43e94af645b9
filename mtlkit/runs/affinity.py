"""Task affinity by lookahead, and groups of tasks to train together (TAG; Fifty et al. 2021).

Paper: Christopher Fifty, Ehsan Amid, Zhe Zhao, Tianhe Yu, Rohan Anil and Chelsea Finn, "Efficiently
Identifying Task Groupings for Multi-Task Learning", NeurIPS 2021.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations

import attrs
import torch
from torch import Tensor

from mtlkit.data.source import Loading
from mtlkit.errors import RecipeError
from mtlkit.ops.dispatch.choice import use
from mtlkit.plugins.catalog import Catalog, load_catalog
from mtlkit.recipe import Recipe
from mtlkit.runs.untrained import untrained_updater
from mtlkit.training.gradients.sources import gradient_source, moved
from mtlkit.training.gradients.task_gradients import GradientStream
from mtlkit.training.update import Updater
from mtlkit.weightings.base import GradientLocation
from mtlkit.weightings.equal import Equal

EXACT = 10
"""Largest number of tasks for which every division into groups is considered."""

Groups = tuple[tuple[str, ...], ...]


@attrs.frozen(kw_only=True)
class TaskAffinity:
    """The affinity of each task to each other one, averaged over training.

    ``values[i][j]`` is the mean of Z = 1 - L_j(after) / L_j(before) (eq. 1), where "after" is a
    step of the shared parameters along the gradient of task i alone. It is above 0 if training
    task i reduces the loss of task j, and NaN if they had labels in no common update.
    """

    tasks: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    updates: int  # in which it was measured

    def groups(self, count: int) -> Groups:
        """Return the division of the tasks into at most `count` groups of the largest affinity.

        The affinity of a group is the sum over its tasks of the mean affinity of the others to it,
        and 0 for a task alone. The division is the best one for up to ten tasks; for more, groups
        are merged, the two of the largest gain first. Of equal divisions, the one of fewer groups.

        >>> values = ((0.0, 0.2, -0.1), (0.3, 0.0, -0.2), (-0.1, 0.1, 0.0))
        >>> TaskAffinity(tasks=("a", "b", "c"), values=values, updates=1).groups(2)
        (('a', 'b'), ('c',))
        """
        divide = self._best if len(self.tasks) <= EXACT else self._merged
        groups = divide(tuple(range(len(self.tasks))), count)
        return tuple(tuple(self.tasks[i] for i in group) for group in groups)

    def affinity(self, group: Sequence[int]) -> float:
        """Return the affinity of a `group`, by the numbers of its tasks."""
        if len(group) < 2:
            return 0.0
        pairs = (self.values[i][j] for i in group for j in group if i != j)
        return sum(value for value in pairs if value == value) / (len(group) - 1)

    def _best(self, tasks: tuple[int, ...], count: int) -> tuple[tuple[int, ...], ...]:
        @cache
        def best(rest: tuple[int, ...], count: int) -> tuple[float, tuple[tuple[int, ...], ...]]:
            if not rest:
                return 0.0, ()
            candidates = []
            for group in _with_first(rest) if count > 1 else [rest]:
                left = tuple(task for task in rest if task not in group)
                affinity, others = best(left, count - 1)
                candidates.append((self.affinity(group) + affinity, (group, *others)))
            return max(candidates, key=lambda pair: pair[0])

        return best(tasks, count)[1]

    def _merged(self, tasks: tuple[int, ...], count: int) -> tuple[tuple[int, ...], ...]:
        groups: list[tuple[int, ...]] = [(task,) for task in tasks]
        while len(groups) > 1:
            gains = {
                (a, b): self.affinity(a + b) - self.affinity(a) - self.affinity(b)
                for a, b in combinations(groups, 2)
            }
            a, b = max(gains, key=lambda pair: gains[pair])
            if gains[a, b] < -1e-12 and len(groups) <= count:
                break
            groups = [group for group in groups if group not in (a, b)] + [tuple(sorted(a + b))]
        return tuple(sorted(groups))


def _with_first(tasks: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield every group of `tasks` that has the first one, the largest first."""
    first, *others = tasks
    for size in reversed(range(len(others) + 1)):
        for chosen in combinations(others, size):
            yield (first, *chosen)


def task_affinity(
    recipe: Recipe,
    every: int = 10,
    *,
    catalog: Catalog | None = None,
    loading: Loading | None = None,
) -> TaskAffinity:
    """Train `recipe`, and measure the affinity of its tasks in every `every`-th update.

    A measurement takes a gradient of each task at the shared parameters, and a forward pass after a
    step along each, at the learning rate of the update. Nothing is written. Raises the errors of
    `fit`, and `RecipeError` for one task.
    """
    catalog = catalog or load_catalog()
    recipe.check(catalog.op_table)
    if len(recipe.tasks) < 2:
        raise RecipeError(
            ["tasks: got 1, expected at least 2, whose affinities are compared; add a task"]
        )
    recipe = attrs.evolve(recipe, train=attrs.evolve(recipe.train, watch=False, loggers=()))
    count = len(recipe.tasks)
    sums, measured = torch.zeros(2, count, count, dtype=torch.float64)
    updates = 0
    with use(catalog.op_table):
        updater = untrained_updater(recipe, loading or Loading())
        for number in range(updater.steps):
            if number % every == 0:
                affinity = _measured(updater, number)[:count, :count].double().cpu()
                sums += affinity.nan_to_num()
                measured += ~affinity.isnan()
                updates += 1
            updater.update(number)
    values = (sums / measured).tolist()
    return TaskAffinity(
        tasks=tuple(recipe.tasks), values=tuple(map(tuple, values)), updates=updates
    )


def _measured(updater: Updater, number: int) -> Tensor:
    """Return the affinities (T, T) in update `number`, NaN for a term without a label."""
    step, batch = updater.inner.step, updater.batches.update(number)
    source = gradient_source(GradientLocation.PARAMETERS, updater.inner.model.router, updater.ranks)
    rehearsal = updater.backward.rehearsal(number, batch)
    stream = GradientStream(
        (step.passes.gradients(part, rehearsal.update, heads=False) for part in rehearsal.parts),
        rehearsal.count,
    )
    rows = source.jacobian(stream).rows
    rate = updater.context.recipe.optimizer.lr * updater.rate_factor(number)
    after = []
    for row in rows:
        with moved(source.parameters, -rate * row):
            again = updater.backward.rehearsal(number, batch)
            after.append(step.total(again, lambda losses: losses.mean))
    affinity = 1 - torch.stack(after) / stream.losses
    present = rehearsal.update.counts > 0
    return torch.where(present & present.unsqueeze(1), affinity, torch.nan)


def recipe_of_group(recipe: Recipe, group: Sequence[str]) -> Recipe:
    """Return `recipe` with the tasks of `group` only; a task alone has equal weights.

    Raises `RecipeError` if other parts of the recipe need a task that is left out.
    """
    chosen = {name: recipe.tasks[name] for name in group}
    weighting = recipe.weighting if len(chosen) > 1 else Equal()
    return attrs.evolve(recipe, tasks=chosen, weighting=weighting).check()
