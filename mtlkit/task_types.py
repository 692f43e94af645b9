"""Types shared by all parts of the framework: roles, kinds of tasks and loss terms.

Shapes: N samples, D features, C classes, T loss terms, G groups, P parameters.
"""

from enum import Enum

import attrs

MISSING = -1
"""Code of a missing categorical label; a missing number is NaN."""


class Role(Enum):
    """Role of a task: main tasks are the goal of training, side tasks support them."""

    MAIN = "main"
    SIDE = "side"


class TaskKind(Enum):
    """Kind of prediction of a task."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@attrs.frozen
class LossTerm:
    """One loss that a weighting combines: that of a task, or of the branches of a task.

    `classes` is the number of classes; 0 for a regression and before the data is loaded.
    """

    name: str
    task: str
    role: Role
    kind: TaskKind
    classes: int = 0
