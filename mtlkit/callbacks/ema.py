"""Exponential moving averages of the weights.

Paper: Antti Tarvainen and Harri Valpola, "Mean teachers are better role models: Weight-averaged
consistency targets improve semi-supervised deep learning results", NeurIPS 2017.
"""

import attrs
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mtlkit.callbacks.averaging import averaged, recalculate_batch_norm
from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.component import at_least, below
from mtlkit.model import MultiTaskModel


@attrs.frozen(kw_only=True)
class EMA(Callback):
    """Validate and keep an exponential moving average of the weights (Tarvainen & Valpola 2017).

    After every `every` updates the average becomes `decay` times itself plus 1 - `decay` times the
    weights. Statistics of batch norm are averaged too; with `recalculate_batch_norm` they are
    computed anew from the training split at the end.
    """

    sets_weights = True
    validates_its_weights = True

    decay: float = attrs.field(default=0.999, validator=below(1))
    every: int = attrs.field(default=1, validator=at_least(1))
    recalculate_batch_norm: bool = False

    def build(self, run: TrainingRun) -> CallbackState:
        return _EMA(self, run)


class _EMA(CallbackState):
    def __init__(self, options: EMA, run: TrainingRun) -> None:
        super().__init__(run)
        self.options = options
        average = get_ema_multi_avg_fn(options.decay)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(run.model, multi_avg_fn=average, use_buffers=True)
        self.average.requires_grad_(False)

    def after_update(self, step: int) -> None:
        if step % self.options.every == 0:
            self.average.update_parameters(self.run.model)

    def evaluated_model(self) -> MultiTaskModel | None:
        return averaged(self.run, self.average)

    def finish(self) -> str | None:
        if int(self.average.n_averaged) == 0:
            return "ema: no weights were averaged; the last weights are kept"
        model = averaged(self.run, self.average)
        self.run.model.load_state_dict(model.state_dict())
        if self.options.recalculate_batch_norm:
            recalculate_batch_norm(self.run.model, self.run)
        return f"ema: the model has the average of {int(self.average.n_averaged)} weights"
