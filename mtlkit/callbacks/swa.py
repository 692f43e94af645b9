"""Stochastic weight averaging.

Paper: Pavel Izmailov, Dmitrii Podoprikhin, Timur Garipov, Dmitry Vetrov and Andrew Gordon Wilson,
"Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.
"""

import attrs
from torch.optim.swa_utils import AveragedModel

from mtlkit.callbacks.averaging import averaged, recalculate_batch_norm
from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.component import at_least, below, optional


@attrs.frozen(kw_only=True)
class SWA(Callback):
    """Keep the mean of the weights from the last part of training (Izmailov et al., UAI 2018).

    From the fraction `start` of training, the weights are added to the mean after every `every`
    updates (null: after every epoch). At the end the model gets the mean, and the statistics of
    batch norm are computed anew from the training split. The paper uses a constant or cyclic
    learning rate meanwhile; validation shows the trained weights.
    """

    sets_weights = True

    start: float = attrs.field(default=0.75, validator=below(1))
    every: int | None = attrs.field(default=None, validator=optional(at_least(1)))

    def build(self, run: TrainingRun) -> CallbackState:
        return _SWA(self, run)


class _SWA(CallbackState):
    def __init__(self, options: SWA, run: TrainingRun) -> None:
        super().__init__(run)
        self.every = options.every or run.steps_per_epoch
        self.start = options.start * run.steps
        self.average = AveragedModel(run.model).requires_grad_(False)

    def after_update(self, step: int) -> None:
        if step > self.start and step % self.every == 0:
            self.average.update_parameters(self.run.model)

    def finish(self) -> str | None:
        number = int(self.average.n_averaged)
        if number == 0:
            return "swa: no weights were averaged; the last weights are kept"
        self.run.model.load_state_dict(averaged(self.run, self.average).state_dict())
        recalculate_batch_norm(self.run.model, self.run)
        return f"swa: the model has the mean of {number} weights"
