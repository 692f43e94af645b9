"""The words every part of mtlkit shares.

Shapes: N samples, D features, C classes, T loss terms, G groups, P parameters.
"""

from enum import Enum

import attrs

MISSING = -1
"""The code of a missing categorical label; a missing number is NaN."""


class Role(Enum):
    """What a task is for: a main task is the aim, a side task helps."""

    MAIN = "main"
    SIDE = "side"


class TaskKind(Enum):
    """What a task predicts, which decides how losses of several tasks compare."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@attrs.frozen
class LossTerm:
    """One loss that a weighting weighs: that of a task, or of the branches of a task.

    `classes` is the number of classes once the data is known, 0 before and for a regression.
    """

    name: str
    task: str
    role: Role
    kind: TaskKind
    classes: int = 0
