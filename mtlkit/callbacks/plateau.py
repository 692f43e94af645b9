"""A learning rate that falls when a metric no longer improves."""

from collections.abc import Mapping

import attrs
import torch
from torch import Tensor, nn

from mtlkit.callbacks.base import CallbackState, TrainingRun
from mtlkit.callbacks.patience import Patience, PatientCallback
from mtlkit.component import above, below, between
from mtlkit.model import MultiTaskModel


@attrs.frozen(kw_only=True)
class Plateau(PatientCallback):
    """Multiply the learning rate by `factor` after `patience` validations without an improvement.

    It is a callback, since a schedule is a function of the step alone; it multiplies the factor of
    any schedule, down to `floor`. `metric` is the name of a validation metric, such as
    ``pose/accuracy``; by default the primary metric of the main task.
    """

    sets_rates = True

    factor: float = attrs.field(default=0.1, validator=[above(0), below(1)])
    floor: float = attrs.field(default=0.0, validator=between(0, 1))

    def build(self, run: TrainingRun) -> CallbackState:
        return _Plateau(self, run)


class _Plateau(Patience):
    def __init__(self, options: Plateau, run: TrainingRun) -> None:
        super().__init__(options, run)
        self.options = options
        self.drops: Tensor = nn.Buffer(torch.tensor(0))

    @property
    def rate_factor(self) -> float:
        return max(self.options.factor ** int(self.drops), self.options.floor)

    def after_evaluation(
        self, step: int, model: MultiTaskModel, metrics: Mapping[str, float]
    ) -> None:
        super().after_evaluation(step, model, metrics)
        if int(self.waited) == self.options.patience:
            self.drops += 1
            self.waited.zero_()
