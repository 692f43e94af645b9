"""An end of training when a metric no longer improves.

Paper: Lutz Prechelt, "Early Stopping - But When?", in "Neural Networks: Tricks of the Trade", 1998.
"""

import attrs

from mtlkit.callbacks.base import CallbackState, TrainingRun
from mtlkit.callbacks.patience import Patience, PatientCallback


@attrs.frozen(kw_only=True)
class EarlyStopping(PatientCallback):
    """Stop after `patience` validations in a row without an improvement by more than `min_delta`.

    `metric` is the name of a validation metric, such as ``pose/accuracy``; by default the primary
    metric of the main task. The model keeps its last weights: list `best-weights` after this
    callback to get the best ones.
    """

    def build(self, run: TrainingRun) -> CallbackState:
        return _EarlyStopping(self, run)


class _EarlyStopping(Patience):
    def __init__(self, options: EarlyStopping, run: TrainingRun) -> None:
        super().__init__(options, run)
        self.patience = options.patience

    @property
    def stops(self) -> bool:
        return int(self.waited) >= self.patience

    def finish(self) -> str | None:
        if not self.stops:
            return None
        return (
            f"stopped early: {self.metric.name} has not improved on {self.best.item():.4g} in "
            f"{self.patience} validations"
        )
