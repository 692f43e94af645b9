"""A task: which label is predicted, by which head, and whether it is what the user wants most."""

from collections.abc import Mapping

import attrs

from mtlkit.component import member_of
from mtlkit.heads.base import Head
from mtlkit.heads.classification import Classification
from mtlkit.task_types import LossTerm, Role


@attrs.frozen(kw_only=True)
class Task:
    """A task of a recipe: the label it predicts (None: the task's own name), and its head.

    >>> Task(target="yaw").role
    <Role.SIDE: 'side'>
    """

    target: str | None = None
    role: Role = attrs.field(default=Role.SIDE, validator=member_of(Role))
    head: Head = attrs.field(factory=Classification)


def loss_terms(tasks: Mapping[str, Task]) -> tuple[LossTerm, ...]:
    """One loss term for each task, in the recipe's order.

    >>> [term.name for term in loss_terms({"pose": Task(), "light": Task()})]
    ['pose', 'light']
    """
    return tuple(LossTerm(name, name, task.role, task.head.kind) for name, task in tasks.items())
