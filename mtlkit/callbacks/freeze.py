"""Parameters that are not trained at first, or never."""

from collections.abc import Iterable

import attrs
from torch import nn

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.callbacks.parameter_selection import select_parameters
from mtlkit.component import above, optional


@attrs.frozen(kw_only=True)
class Freeze(Callback):
    """Keep `parameters` as they are for the first `epochs` of training; null: always.

    Each item is a part of the model (``backbone``, ``router``, ``heads``) or a name with wildcards,
    such as ``router.backbone.layers.0.*``. Frozen parameters are neither updated nor decayed, and
    batch norm with frozen parameters uses its recorded statistics.
    """

    parameters: tuple[str, ...] = ("backbone",)
    epochs: float | None = attrs.field(default=None, validator=optional(above(0)))

    def build(self, run: TrainingRun) -> CallbackState:
        return _Freeze(self, run)


class _Freeze(CallbackState):
    def __init__(self, options: Freeze, run: TrainingRun) -> None:
        super().__init__(run)
        selected = select_parameters(run.model, options.parameters, "callbacks: freeze")
        self.selected = list(selected.values())
        self.names = list(selected)
        self.until = None if options.epochs is None else options.epochs * run.steps_per_epoch
        norms = [m for m in run.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        chosen = set(self.selected)
        self.norms = [m for m in norms if m.affine and chosen.issuperset(m.parameters())]
        if self.until is None:
            for parameter in self.selected:
                parameter.requires_grad_(False)

    def _active(self, step: int) -> bool:
        return self.until is None or step < self.until

    def before_update(self, step: int) -> None:
        for norm in self.norms:
            norm.train(not self._active(step))

    def frozen(self, step: int) -> Iterable[nn.Parameter]:
        return self.selected if self._active(step) else ()

    def after_backward(self, step: int) -> None:
        if self.until is not None:
            for parameter in self.frozen(step):
                parameter.grad = None  # the optimizer skips it, and decays nothing
