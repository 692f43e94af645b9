"""Types shared by all parts of the framework: roles and loss terms.

Shapes: N samples, D features, C classes, T loss terms, G groups, P parameters.
"""

from enum import Enum

import attrs

MISSING = -1
"""Code of a missing categorical label; a missing number is NaN."""


FOLD_ABOVE = 10
"""Number of tasks above which displays and reports show the mean and the range over tasks."""


class Role(Enum):
    """Role of a task: main tasks are the goal of training, side tasks support them."""

    MAIN = "main"
    SIDE = "side"


class Reduction(Enum):
    """Weight of a sample in the mean loss of its task."""

    ELEMENTS = "elements"  # its number of present elements, such as labeled pixels
    SAMPLES = "samples"  # 1 if any element is present


@attrs.frozen
class LossTerm:
    """One loss that a weighting combines: that of a task, or of the branches of a task.

    `classes` is the number of classes; 0 without classes and before the data is loaded. `targets`
    are the types of targets that the task's head predicts, and `reduction` is that of the task.
    """

    name: str
    task: str
    role: Role
    classes: int = 0
    targets: tuple[type, ...] = ()
    reduction: Reduction = Reduction.ELEMENTS

    def predicts(self, target: type) -> bool:
        """Return True if the task's head predicts targets of the type `target`."""
        return any(issubclass(kind, target) for kind in self.targets)
