"""Sharpness-aware minimization (SAM; Foret et al., ICLR 2021).

Paper: Pierre Foret, Ariel Kleiner, Hossein Mobahi and Behnam Neyshabur, "Sharpness-Aware
Minimization for Efficiently Improving Generalization", ICLR 2021.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
import torch
from torch import Tensor, nn

from mtlkit.callbacks.base import Callback, CallbackState, TrainingRun
from mtlkit.component import above


@attrs.frozen(kw_only=True)
class SAM(Callback):
    """Take the gradients of each update where the loss is highest nearby (Foret et al. 2021).

    With the gradient g of the sum of all losses at the weights w, losses and gradients of the
    update are computed at w + `rho` g / |g| (eq. 2), on the same samples with the same dropout. The
    weighting combines them there, and the optimizer applies the result to w (eq. 3). Learned
    weights of a weighting and frozen parameters are not moved. The log holds the losses at the
    moved weights. Each update takes a second pass through the network.
    """

    moves_parameters = True
    reads_gradients = True

    rho: float = attrs.field(default=0.05, validator=above(0))

    def build(self, run: TrainingRun) -> CallbackState:
        return _SAM(self, run)


class _SAM(CallbackState):
    def __init__(self, options: SAM, run: TrainingRun) -> None:
        super().__init__(run)
        self.rho = options.rho

    @contextmanager
    def around_backward(self, step: int) -> Iterator[None]:
        gradient = self.run.mean_gradient(step)
        before = [(parameter, parameter.detach().clone()) for parameter in gradient]
        move_along(gradient, self.rho)
        del gradient  # its memory is free during the update
        try:
            yield
        finally:
            with torch.no_grad():  # subtracting the moves would round
                for parameter, value in before:
                    parameter.copy_(value)


@torch.no_grad()
def move_along(gradient: Mapping[nn.Parameter, Tensor], rho: float) -> None:
    """Move each parameter by its `gradient`, scaled to the norm `rho` over all of them.

    A gradient that is 0, or not finite, has no direction and moves nothing: the losses of the
    update itself then show the reason.

    >>> weight, bias = nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([2.0]))
    >>> move_along({weight: torch.tensor([3.0]), bias: torch.tensor([4.0])}, rho=0.5)
    >>> round(weight.item(), 3), round(bias.item(), 3)
    (1.3, 2.4)
    """
    if not gradient:
        return
    norm = torch.nn.utils.get_total_norm(gradient.values())
    finite = norm.isfinite()  # stays on the device, which avoids a sync
    factor = torch.where(finite, rho / norm.clamp_min(torch.finfo(norm.dtype).tiny), 0.0)
    for parameter, values in gradient.items():
        parameter.addcmul_(torch.where(finite, values, 0.0), factor)
